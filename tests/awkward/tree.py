"""The awkward tree: all that Duplicity's format has no place for, and more that is easily lost.

It needs root, and a file system with large attributes: XFS, ext4 with ``ea_inode``, btrfs. Two trees made on two file
systems of one kind are equal. :mod:`.rounds` changes it.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.awkward import attributes, contents, links, names, nodes
from tests.awkward.dating import date_all
from tests.awkward.rounds import change as change
from tests.awkward.setting import LOCKING, flags, set_flags

LARGEST = 10 << 30
"""Bytes of the largest file, which is nearly all a hole: what reads holes takes long."""


def make(place: Path, *, largest: int = LARGEST) -> None:
    """Make the tree in an empty directory.

    :param largest: bytes of the largest file.
    """
    top = os.fsencode(place)
    mask = os.umask(0o022)
    try:
        for part in (nodes, names, attributes, links):
            part.make(top)
        contents.make(top, largest)
        contents.make_flags(top)
        attributes.make_own(top)
    finally:
        os.umask(mask)
    date_all(top, 1_500_000_000)
    nodes.date_specially(top)
    contents.lock(top)


def cleanup(place: Path) -> None:
    """Let the tree be deleted: nothing is immutable or append-only any more."""
    for _, folders, files, fd in os.fwalk(place):
        for name in (".", *files, *folders):
            found = os.lstat(name, dir_fd=fd)
            if found.st_mode >> 12 in (4, 8) and flags(os.fsencode(name), fd) & LOCKING:
                set_flags(os.fsencode(name), "", off="ia", dir_fd=fd)
