"""What is known of a path from the last backup, and whether it has changed since."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

UNKNOWN = 0
"""As an inode's change time: never seen; duplicity's own test has to do."""
DOUBTED = -1
"""As an inode's change time: the file may have changed after it was read without a trace, or was not read well."""
VIRTUAL = -2
"""As the change time of what is found: there is no inode; the content has to be looked at."""
NO_SIZE = -1


class Known(NamedTuple):
    """A path as the chain holds it.

    :ivar key: path relative to the source, with zero bytes between components; ``b""`` is the source itself. Keys
        compare as bytes in Duplicity's order of entries.
    :ivar mode: type and permissions.
    :ivar size: of a regular file in bytes, or :data:`NO_SIZE`; the device number of a device.
    :ivar mtime: whole seconds since the epoch, as Duplicity counts them: see :func:`seconds`.
    :ivar ctime: change time of the inode in nanoseconds, or :data:`UNKNOWN` or :data:`DOUBTED`.
    :ivar inode: its number; 0 where unknown.
    :ivar increment: number in the chain of the increment that holds it, the full being 0.
    :ivar member: offset in that increment's local sigtar of the gzip member in which the signature begins.
    :ivar inner: offset in the member's content.
    :ivar length: of the signature in bytes; 0 for anything but a regular file.
    :ivar bare: the file with this change time was looked at, and has nothing that the format cannot hold: no
        attributes, flags or holes. Each of them changes the change time when it comes.
    :ivar link: target of a symbolic link.
    """

    key: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    ctime: int
    inode: int
    increment: int
    member: int
    inner: int
    length: int
    bare: bool
    link: bytes


class Status(NamedTuple):
    """What counts of an ``os.stat_result``, for one that has been put aside."""

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_mtime: float
    st_mtime_ns: int
    st_ctime_ns: int
    st_rdev: int


Stat = os.stat_result | Status


def seconds(status: Stat) -> int:
    """Return the modification time as Duplicity writes it: whole seconds, none before 1970.

    Through a float, as stock does: within 0.1 µs of the next second it is already that.
    """
    return max(0, int(status.st_mtime))


def same_for_duplicity(status: Stat, link: bytes, old: Known) -> bool:
    """Duplicity's own change test: type, and what matters of it. Of a link that is the target, and here the owner."""
    if stat.S_IFMT(status.st_mode) != stat.S_IFMT(old.mode) or status.st_uid != old.uid or status.st_gid != old.gid:
        return False
    if stat.S_ISLNK(old.mode):
        return link == old.link
    if status.st_mode != old.mode:
        return False
    if stat.S_ISCHR(old.mode) or stat.S_ISBLK(old.mode):
        return status.st_rdev == old.size
    return seconds(status) == old.mtime
