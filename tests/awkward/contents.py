"""Files with holes, and inode flags."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

from tests.awkward.setting import LETTERS, directory, set_acl, set_flags, set_xattrs, write

KIB = 1024
Extents = dict[int, bytes]
"""What is written where."""
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02


def make(top: bytes, largest: int) -> None:
    """Make ``sparse`` below a directory.

    Nothing is reserved and unwritten: SEEK_DATA tells of that what it is in the page cache, so reading makes it data.

    :param largest: bytes of the largest file, which is holes but for three extents.
    """
    top += b"/sparse"
    some = bytes(n * n % 251 for n in range(10_000))
    middle = largest // 2 // KIB * KIB + 77
    holey(top + b"/large", largest, {0: some, middle: some, largest - 5000: some[:5000]})
    holey(top + b"/hole at the end", 2048 * KIB + 1, {0: some, 512 * KIB: some})
    holey(top + b"/hole first", 1024 * KIB, {1000 * KIB: some})
    holey(top + b"/hole only", 1024 * KIB, {})
    holey(top + b"/small hole only", 100, {})
    holey(top + b"/zeros beside a hole", 1024 * KIB, {128 * KIB: bytes(64 * KIB), 256 * KIB: some})
    holey(top + b"/zeros only", 256 * KIB, {64 * KIB: bytes(64 * KIB)})
    holey(top + b"/many", 200 * 64 * KIB, {n * 64 * KIB: b"%d" % n for n in range(200)})
    holey(top + b"/rounds fill", 512 * KIB, {0: some})
    write(top + b"/rounds punch", some * 4 + bytes(100 * KIB) + some * 4)
    write(top + b"/zeros without a hole", bytes(100 * KIB))
    os.link(holey(top + b"/linked", 512 * KIB, {256 * KIB: some}), top + b"/linked too")
    with_all = holey(top + b"/with all", 512 * KIB, {4 * KIB: some})
    set_acl(with_all, "u::rw-,u:1000:r--,g::r--,m::r--,o::---")
    set_xattrs(with_all, user_a=b"1")


def holey(path: bytes, size: int, extents: Extents) -> bytes:
    """Write a file; it has its size first: XFS fills what lies between two ends of a file that grows."""
    fd = os.open(write(path), os.O_WRONLY)
    os.ftruncate(fd, size)
    for offset, data in extents.items():
        os.pwrite(fd, data, offset)
    os.fsync(fd)
    os.close(fd)
    return path


def punch(path: bytes, offset: int, length: int) -> None:
    """Make a hole, which reads as zeros."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    fd = os.open(path, os.O_WRONLY)
    failed = libc.fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, offset, length)
    os.close(fd)
    if failed:
        raise OSError(ctypes.get_errno(), "fallocate", path)


def make_flags(top: bytes) -> None:
    """Make ``flags`` below a directory: the last thing, for what is immutable cannot be changed afterwards."""
    top += b"/flags"
    for letter in LETTERS:
        for path in (write(top + b"/file " + letter.encode()), directory(top + b"/directory " + letter.encode())):
            if letter not in "ia":
                with suppress(OSError):  # no file system has all
                    set_flags(path, letter)
    for path in (top + b"/file i", top + b"/file a", top + b"/rounds i"):
        if not os.path.lexists(path):
            write(path)
        with open(path, "wb") as file:
            file.write(b"locked")
        set_acl(path, "u::rw-,u:1000:r--,g::r--,m::r--,o::---")
        set_xattrs(path, user_a=b"1")
    os.link(write(top + b"/linked i", b"linked"), top + b"/linked i too")
    for directories in (top + b"/directory i", top + b"/directory a"):
        write(directories + b"/file", b"below")
        write(directories + b"/below/file", b"below that")
    write(top + b"/rounds d")
    write(top + b"/rounds gets i")
    write(top + b"/both")


def lock(top: bytes) -> None:
    """Set the flags that let nothing be changed; times are set before."""
    top += b"/flags"
    for letter in "ia":
        set_flags(top + b"/file " + letter.encode(), letter)
        set_flags(top + b"/directory " + letter.encode(), letter)
    set_flags(top + b"/directory i/below", "i")
    set_flags(top + b"/linked i", "i")
    set_flags(top + b"/rounds i", "i")
    set_flags(top + b"/rounds d", "d")
    set_flags(top + b"/both", "iad")
