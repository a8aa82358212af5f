"""Duplicity's on-disk format as pure codecs: bytes in, values out, and back. No input or output of its own."""
