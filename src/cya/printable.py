"""Text that comes from others, made fit for a terminal and for a line of a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text with all escaped that is not UTF-8, or that would end a line or move a cursor."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
