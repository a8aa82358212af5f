"""Tells what is at its place already, as an interrupted restore has brought it there, from all else that may be there.

Files get their attributes when they are whole, and their mode last; so one with those of the entry, and its size, need
not be written again.
"""

from __future__ import annotations

import os
import stat

from cya.engine.native.reading.extras import Item
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.special import SOCKET
from cya.format.tar_reader import Member

_KINDS = {b"0": stat.S_IFREG, b"2": stat.S_IFLNK, b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"6": stat.S_IFIFO}
_KINDS[SOCKET] = stat.S_IFSOCK
_SECOND = 10**9


def is_done(name: bytes, parent: int, member: Member, size: int, owners: Owners, item: Item) -> bool:
    """Whether what has a name in a directory is what an entry says.

    :param size: of a regular file, in bytes; the entry of a delta does not say it.
    :param item: what else there is of it.
    :raises FileNotFoundError: when there is nothing.
    """
    there = os.stat(name, dir_fd=parent, follow_symlinks=False)
    kind = _KINDS.get(member.kind)
    mtime = member.mtime if item.mtime_ns is None else item.mtime_ns // _SECOND
    if stat.S_IFMT(there.st_mode) != kind or there.st_mtime_ns // _SECOND != mtime:
        return False
    if not owners.is_owner(there, member):
        return False
    if kind == stat.S_IFLNK:
        return os.readlink(name, dir_fd=parent) == member.linkname
    if stat.S_IMODE(there.st_mode) != owners.mode_of(member):
        return False
    if kind == stat.S_IFREG:
        return there.st_size == size
    devices = (os.major(there.st_rdev), os.minor(there.st_rdev))
    return kind in (stat.S_IFIFO, stat.S_IFSOCK) or devices == (member.devmajor, member.devminor)
