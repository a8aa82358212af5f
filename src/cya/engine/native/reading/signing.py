"""Compares the content of files with signatures of it, by signing them anew with blocks of the same length."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
from typing import NamedTuple

from cya.engine.native.beneath import open_beneath
from cya.engine.native.reading.recorded import new_digest
from cya.format import signature

_AT_ONCE = 1 << 22
_MOST_BLOCKS = 1 << 16
_OTHER = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.EISDIR, errno.ENXIO))
"""What comes of opening something that is no regular file any more."""

SAME, DIFFERS, GONE, UNREAD = range(4)
"""What became of a file: it has the content; it has another; it is no file any more; it cannot be read."""


class Asked(NamedTuple):
    """A file, and what a backup recorded of its content; see :class:`cya.engine.native.reading.recorded.Recorded`.

    :ivar path: below the source.
    """

    path: bytes
    block: int
    smallest: int
    largest: int
    digest: bytes


class Answer(NamedTuple):
    """What was found.

    :ivar verdict: one of the constants.
    :ivar size: bytes that were read.
    :ivar ctime, mtime: of the file after it was read, in nanoseconds; 0 where there is none.
    :ivar reason: why it could not be read.
    """

    verdict: int
    size: int = 0
    ctime: int = 0
    mtime: int = 0
    reason: str = ""


class Signer:
    """Signs one file after another in one buffer, which grows for the largest block."""

    def __init__(self, root: int) -> None:
        """Take note of a descriptor of the source."""
        self._root = root
        self._grow(_AT_ONCE)

    def answer(self, asked: Asked) -> Answer:
        """Compare one file."""
        try:
            file = open_beneath(self._root, asked.path)
        except OSError as error:
            return Answer(GONE) if error.errno in _OTHER else Answer(UNREAD, reason=_reason(error))
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                return Answer(GONE)
            size, same = 0, False
            if asked.smallest <= found.st_size <= asked.largest:
                size = found.st_size
                same = self._digest(file, size, asked.block) == asked.digest
            found = os.fstat(file)
            return Answer(SAME if same else DIFFERS, size, found.st_ctime_ns, found.st_mtime_ns)
        except OSError as error:
            return Answer(UNREAD, reason=_reason(error))
        finally:
            os.close(file)

    def _digest(self, file: int, size: int, block: int) -> bytes:
        """Return the digest of the signature of a file's first bytes; of fewer if there are fewer now."""
        digest = new_digest()
        digest.update(signature.head(block))
        step = block * max(1, min(_AT_ONCE // block, _MOST_BLOCKS))
        if step > len(self._view) and size > len(self._view):
            self._grow(step)
        for offset in range(0, size, step):
            wanted = min(step, size - offset)
            there = self._read(file, offset, wanted)
            digest.update(signature.blocks(self._address, there, block))
            if there < wanted:
                break
        return digest.digest()

    def _read(self, file: int, offset: int, size: int) -> int:
        done = 0
        while done < size:
            count = os.preadv(file, [self._view[done:size]], offset + done)
            if not count:
                break
            done += count
        return done

    def _grow(self, size: int) -> None:
        self._buffer = mmap.mmap(-1, size)
        self._view = memoryview(self._buffer)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
