"""Bind mounts by descriptors: whoever may rename directories on the way to a mount point leads nobody elsewhere.

A path would: root would mount what a user has made over a place of that user's choice, its own programs among them. So
the kernel's newer calls are used, of Linux 5.12: open_tree(2), mount_setattr(2), move_mount(2); their numbers are the
same on all machines.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_EMPTY_PATHS = 0x04 | 0x40
_RDONLY_NOSUID_NODEV = 0x1 | 0x2 | 0x4
_NOSUID_NODEV = 0x2 | 0x4


@contextmanager
def opened(place: Path) -> Iterator[int]:
    """Open a place, of any type, to be named by a descriptor.

    :raises OSError: when it is not there.
    """
    fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def descended(top: int, path: Path) -> Iterator[int]:
    """Open what lies at a relative path below an open directory, with no symbolic link on the way or at its end.

    :raises OSError: when it is not there, or a link is.
    """
    fd = os.dup(top)
    try:
        for name in path.parts:
            below = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                raise OSError(40, "a symbolic link is on the way to it")
        yield fd
    finally:
        os.close(fd)


def bind(what: int, place: int, *, writable: bool = False) -> None:
    """Show what one descriptor stands for at the place that another stands for; what is mounted below it is left out.

    :raises OSError: when the kernel refuses.
    """
    tree = _call(_OPEN_TREE, what, b"", _OPEN_TREE_CLONE | _AT_EMPTY_PATH | os.O_CLOEXEC)
    try:
        set_flags = _NOSUID_NODEV if writable else _RDONLY_NOSUID_NODEV
        attributes = struct.pack("=4Q", set_flags, 0, 0, 0)
        _call(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes))
        _call(_MOVE_MOUNT, tree, b"", place, b"", _MOVE_MOUNT_EMPTY_PATHS)
    finally:
        os.close(tree)


def _call(number: int, *arguments: int | bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    plain = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *plain))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
