"""What ``renameat2`` (Linux 3.15) does in one call: to rename and never replace anything, and to exchange."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import lru_cache

_NOREPLACE, _EXCHANGE = 1, 2
_UNKNOWN = frozenset((errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP))


def rename_new(made: bytes, directory: int, name: bytes, parent: int) -> None:
    """Rename from one directory to another, never replacing what has the name already.

    Where the kernel or the file system does not know how, it is looked first.

    :raises FileExistsError: when there is something of that name.
    :raises OSError: as :func:`os.rename`.
    """
    call = _call()
    if call is not None:
        if not call(directory, made, parent, name, _NOREPLACE):
            return
        number = ctypes.get_errno()
        if number not in _UNKNOWN:
            raise OSError(number, os.strerror(number), name)
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(made, name, src_dir_fd=directory, dst_dir_fd=parent)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def exchange(one: str, directory: int, other: str, parent: int) -> bool:
    """Let two names of what is there change places, in one step; return False where that is not known.

    :raises OSError: when one of them is missing, or they are on two file systems.
    """
    call = _call()
    if call is None:
        return False
    if not call(directory, os.fsencode(one), parent, os.fsencode(other), _EXCHANGE):
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), one)


@lru_cache(1)
def _call() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """Return the C library's function, if it has it."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    call.restype = ctypes.c_int
    found: Callable[[int, bytes, int, bytes, int], int] = call
    return found
