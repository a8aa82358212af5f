"""``flags.txtz``: inode flags as chattr sets them, by FS_IOC_GETFLAGS and FS_IOC_SETFLAGS (linux/fs.h).

Kept is what a person can set and what can be put back on a file that has its content. Not kept:

* ``e`` extents, ``N`` inline, ``I`` index, ``Z`` ``B`` ``X`` compressed or not: how this file system stores the file;
* ``E`` encrypted, ``V`` verity: no ioctl of flags sets them, and the keys are not in a backup;
* ``P`` project inheritance: without the number of the project, which is not kept, it would charge the wrong one;
* ``F`` case folding: can only be set on a directory that is empty, on a file system that was made for it.

``C``, no copy on write, is without effect on a file that is not empty (btrfs). ``i`` and ``a`` forbid all other
changes: flags come last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import sys
from contextlib import suppress
from functools import lru_cache

_LONG = struct.calcsize("l")
_GET = 2 << 30 | _LONG << 16 | ord("f") << 8 | 1
"""``_IOR('f', 1, long)``; what the kernel fills is an int all the same."""
_SET = 1 << 30 | _LONG << 16 | ord("f") << 8 | 2

_EMPTY = bytes(_LONG)

_LETTERS = {
    # in the order in which lsattr prints them
    b"s": 0x00000001,  # secure deletion
    b"u": 0x00000002,  # undeletable
    b"S": 0x00000008,  # written synchronously
    b"D": 0x00010000,  # directory, written synchronously
    b"i": 0x00000010,  # immutable
    b"a": 0x00000020,  # append only
    b"d": 0x00000040,  # not for dump
    b"A": 0x00000080,  # no times of access
    b"c": 0x00000004,  # compress
    b"j": 0x00004000,  # data go through the journal
    b"t": 0x00008000,  # no merging of tails
    b"T": 0x00020000,  # top of a hierarchy of directories
    b"C": 0x00800000,  # no copy on write
    b"x": 0x02000000,  # mapped directly from persistent memory
    b"m": 0x00000400,  # do not compress
}

_IMMUTABLE = _LETTERS[b"i"]

KEPT = sum(_LETTERS.values())
"""All flags that are kept."""


def get(fd: int) -> int:
    """Return all flags, those that are not kept among them.

    :param fd: a regular file or a directory: of anything else a driver would get the question.
    :raises OSError: ENOTTY, EOPNOTSUPP or alike where the file system has no flags.
    """
    return _number(fcntl.ioctl(fd, _GET, _EMPTY))


@lru_cache(256)
def _number(answer: bytes) -> int:
    # A whole system has a handful of them, and each file is asked in each backup.
    return int.from_bytes(answer[:4], sys.byteorder)


def change(fd: int, wanted: int) -> None:
    """Set the flags that are kept to exactly those wanted, and leave the others as they are.

    :param fd: a regular file or a directory.
    :raises OSError: where the file system has no flags, or not all of these can be changed (which it may not say);
        those that can are changed.
    """
    kind = os.fstat(fd).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OSError(errno.ENOTTY, "only files and directories have flags")
    there = get(fd)
    flags = there & ~KEPT | wanted & KEPT
    if flags == there:
        return
    reason = errno.EOPNOTSUPP
    try:
        if there & flags & _IMMUTABLE:
            _set(fd, there & ~_IMMUTABLE)  # as long as it stays, nothing else can be changed
        _set(fd, flags)
    except OSError as error:
        reason = error.errno or reason
        for flag in (*(_LETTERS[letter] for letter in _LETTERS if letter != b"i"), _IMMUTABLE):
            now = get(fd)
            if (now ^ flags) & flag:
                with suppress(OSError):
                    _set(fd, now ^ flag)
    missing = (get(fd) ^ flags) & KEPT
    if missing:
        raise OSError(reason, f"{os.strerror(reason)}: the flags {letters(missing).decode()} cannot be changed")


def _set(fd: int, flags: int) -> None:
    fcntl.ioctl(fd, _SET, flags.to_bytes(4, sys.byteorder) + bytes(_LONG - 4))


def letters(flags: int) -> bytes:
    """Return the letters, in lsattr's order, of the flags that are kept; ``b""`` if none of them is set."""
    return b"".join(letter for letter, flag in _LETTERS.items() if flags & flag)


def of_letters(word: bytes) -> int:
    """Return the flags of letters, which may have a plus before them.

    :raises ValueError: on a letter of none of the flags that are kept.
    """
    flags = 0
    for byte in word.removeprefix(b"+"):
        flag = _LETTERS.get(bytes([byte]))
        if flag is None:
            raise ValueError(f"{word[:80]!r} are not inode flags that can be set")
        flags |= flag
    return flags
