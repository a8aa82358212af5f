"""Makes what is neither a directory nor a regular file: symbolic links, FIFOs, devices and sockets."""

from __future__ import annotations

import errno
import os
import stat

from cya.format.tar_reader import Member

SOCKET = b"s"
"""The kind of a member that is a socket; no tar archive has one."""


def make(name: bytes, parent: int, member: Member) -> None:
    """Make it by its name in a directory.

    It has its mode at once: a later chmod would follow what somebody might have put in its place.

    :raises OSError: when it cannot be made.
    """
    former = os.umask(0)
    try:
        if member.kind == b"2":
            os.symlink(member.linkname, name, dir_fd=parent)
        elif member.kind == b"6":
            os.mkfifo(name, member.mode, dir_fd=parent)
        elif member.kind == SOCKET:
            os.mknod(name, stat.S_IFSOCK | member.mode, dir_fd=parent)
        elif member.kind in (b"3", b"4"):
            kind = stat.S_IFCHR if member.kind == b"3" else stat.S_IFBLK
            os.mknod(name, kind | member.mode, _device(member), dir_fd=parent)
        else:
            raise OSError(errno.EINVAL, f"is of an unknown type {member.kind!r}")
    finally:
        os.umask(former)


def _device(member: Member) -> int:
    try:
        return os.makedev(member.devmajor, member.devminor)
    except OverflowError:
        raise OSError(errno.EINVAL, "is a device that cannot be") from None
