"""Opening what lies below a directory, through no symbolic link, wherever on the way.

Whoever may write in the source can put a link in a directory's place while root makes a backup of it. The kernel's
``openat2`` (Linux 5.6) sees to it in one call. Where there is none, or a sandbox forbids it, the way is gone component
by component. Paths may be of any length.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import time
from functools import lru_cache

FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOATIME
"""For files: a FIFO in a file's place must not block, and reading is nothing that the file's owner should notice."""
DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOATIME
"""For directories."""

WAY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
"""For directories on the way: that they may be walked through is enough."""

_PATH_MAX = 4096
_SYS_OPENAT2 = 437  # on all architectures but alpha
_RESOLVE = 0x02 | 0x04 | 0x08  # NO_MAGICLINKS, NO_SYMLINKS, BENEATH
_WAITS = (0.0, 0.001, 0.005, 0.02, 0.1, 0.4, 1.0)
"""Seconds. A lease on the file (Samba takes them) is given back when somebody opens it, and meanwhile it is EAGAIN."""

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
_syscall.restype = ctypes.c_long


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW_SIZE = ctypes.sizeof(_How)


def open_beneath(root_fd: int, path: bytes, flags: int = FILE) -> int:
    """Open for reading what lies below a directory; O_NOATIME is dropped where it is not allowed.

    :param path: relative; empty or ``.`` for the directory itself.
    :returns: a file descriptor.
    :raises OSError: with ``ELOOP`` when the path, or a part of it, is a symbolic link; with ``EXDEV`` when it is
        absolute or holds ``..``; else as :func:`os.open`.
    :raises ValueError: for a NUL in the path, or flags that would create a file.
    """
    if b"\0" in path:
        raise ValueError("embedded null byte")
    if path.startswith(b"/") or (b".." in path and b".." in path.split(b"/")):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    try:
        return _open(root_fd, path or b".", flags)
    except PermissionError as error:
        if error.errno != errno.EPERM or not flags & os.O_NOATIME:
            raise
    return _open(root_fd, path or b".", flags & ~os.O_NOATIME)


def open_directory(name: bytes, dir_fd: int) -> int:
    """Open a directory by its name in another; O_NOATIME is dropped where it is not allowed.

    :raises OSError: with ``ENOTDIR`` for what is none, a symbolic link to one included; else as :func:`os.open`.
    """
    try:
        return os.open(name, DIRECTORY, dir_fd=dir_fd)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise
    return os.open(name, DIRECTORY & ~os.O_NOATIME, dir_fd=dir_fd)


def _open(root_fd: int, path: bytes, flags: int) -> int:
    for wait in _WAITS:
        try:
            if not _has_openat2():
                return _by_parts(root_fd, path.split(b"/"), flags)
            if len(path) < _PATH_MAX:
                return _openat2(root_fd, path, flags)
            return _by_parts(root_fd, _pieces(path), flags)
        except BlockingIOError:
            time.sleep(wait)
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def _openat2(dir_fd: int, path: bytes, flags: int) -> int:
    how = _how(flags)
    while True:
        fd = _syscall(_SYS_OPENAT2, dir_fd, path, ctypes.addressof(how), _HOW_SIZE)
        if fd >= 0:
            return int(fd)
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number), path)


@lru_cache
def _how(flags: int) -> _How:
    if flags & (os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY | os.O_TRUNC):
        raise ValueError(f"flags {flags:#o} are not for reading only")
    # Links are seen to; with O_NOFOLLOW and O_DIRECTORY they would be ENOTDIR.
    return _How(flags & ~os.O_NOFOLLOW, 0, _RESOLVE)


@lru_cache
def _has_openat2() -> bool:
    """Try it: of a single EPERM nobody could tell whether a sandbox or the file is its cause."""
    root = os.open("/", WAY)
    try:
        os.close(_openat2(root, b".", WAY))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return False
        raise
    finally:
        os.close(root)
    return True


def _pieces(path: bytes) -> list[bytes]:
    """Cut a path at slashes into pieces that the kernel takes (if each name is short enough)."""
    pieces: list[bytes] = []
    start = 0
    while len(path) - start >= _PATH_MAX:
        cut = path.rfind(b"/", start, start + _PATH_MAX)
        if cut <= start:
            break
        pieces.append(path[start:cut])
        start = cut + 1
    return [*pieces, path[start:]]


def _by_parts(root_fd: int, parts: list[bytes], flags: int) -> int:
    """Open part by part, each below the one before."""
    one = _openat2 if _has_openat2() else _open_name
    _how(flags)  # the same flags are refused on both ways
    *way, last = [part for part in parts if part] or [b"."]
    here = root_fd
    try:
        for part in way:
            below = one(here, part, WAY)
            if here != root_fd:
                os.close(here)
            here = below
        # A slash at the end: a directory.
        return one(here, last, flags if parts[-1] else flags | os.O_DIRECTORY)
    finally:
        if here != root_fd:
            os.close(here)


def _open_name(dir_fd: int, name: bytes, flags: int) -> int:
    """Open one name; a symbolic link is ELOOP, as it is with openat2, and never ENOTDIR."""
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=dir_fd)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
        raise
