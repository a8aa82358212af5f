"""What Duplicity's format cannot hold, in the files that lie beside a backup: ``.dupext/``.

A module a file or a kind: each writes and reads its records one after another and holds none of them. Paths are bytes
relative to the root of the backup. What is read was written by whoever made the backup, who may be hostile.
"""
