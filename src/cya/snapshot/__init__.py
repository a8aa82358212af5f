"""Snapshots: the source as it was at one moment, at a place where an engine can read it in peace.

``taken`` is the whole: it makes snapshots of the file systems that lie at and below the source (``choosing``), by one
of the kinds ``lvm``, ``btrfs`` and ``zfs`` (``protocol`` says what a kind does), puts them together as the source's
``view`` in a mount namespace of its own (``namespace``), watches them while they are read (``watching``), and removes
them. ``left`` removes what a run left that was killed.
"""
