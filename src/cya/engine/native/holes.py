"""Slices of files that are holes: signed, deflated and compared without being read.

A file may have a hundred times as many zeros as a disk has room for, such as ``lastlog`` and images of disks.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from functools import lru_cache

from isal import isal_zlib

from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.tasks import Part, Ref, Slice
from cya.engine.native.unit import LEVEL, hashed
from cya.format import delta, tar_header
from cya.format import signature as signatures

_SUM = signatures.STRONG_LENGTH + 4
"""Bytes of a block in a signature."""


class Holes:
    """What slices of zeros become."""

    def __init__(self, old: OldSignatures, capacity: int) -> None:
        """Take note of what there is.

        :param capacity: the most bytes of a slice.
        """
        self._old = old
        self._zeros = mmap.mmap(-1, capacity)  # takes no memory as long as it is only read
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._zeros))
        self._signature: tuple[Ref, bytes] | None = None
        self.sums = lru_cache(4)(self._sums)
        self._deflated = lru_cache(4)(self._deflate)

    def part(self, header: bytes, length: int) -> Part:
        """Return an entry of so many zeros: of the two parts only the header is deflated anew."""
        size = length + tar_header.padding(length)
        deflated = _flushed(header) + self._deflated(size)
        zeros = memoryview(self._zeros)[:size]
        crc = isal_zlib.crc32(zeros, isal_zlib.crc32(header))
        return hashed(Part(deflated, len(header) + size, crc))

    def commands(self, task: Slice) -> bytes | None:
        """Return the part of a delta for a slice that was one of zeros before; None if it was not."""
        ref = Ref(*task.ref) if task.ref else None
        if ref is None:
            return None
        if self._signature is None or self._signature[0] != ref:
            self._signature = (ref, self._old.read(ref) or b"")
        old = self._signature[1]
        try:
            block, strong = signatures.parse_head(old)
        except ValueError:
            return None
        sums = self.sums(task.length, task.block)
        at = signatures.HEAD_SIZE + task.offset // task.block * _SUM
        if (block, strong) != (task.block, signatures.STRONG_LENGTH) or old[at : at + len(sums)] != sums:
            return None
        return (delta.MAGIC if task.number == 1 else b"") + delta.copy(task.offset, task.length)

    def _sums(self, length: int, block: int) -> bytes:
        return signatures.blocks(self._address, length, block)

    def _deflate(self, size: int) -> bytes:
        return _flushed(memoryview(self._zeros)[:size])


def is_hole(file: int, offset: int, length: int) -> bool:
    """Whether a part of a file has no data; False where the file system cannot tell."""
    try:
        return os.lseek(file, offset, os.SEEK_DATA) >= offset + length
    except OSError as error:
        # Nothing but a hole to the end; and not that it ends before, which has to be noticed.
        return error.errno == errno.ENXIO and os.fstat(file).st_size >= offset + length


def _flushed(data: bytes | memoryview) -> bytes:
    deflate = isal_zlib.compressobj(LEVEL, wbits=-15)
    return deflate.compress(data) + deflate.flush(isal_zlib.Z_FULL_FLUSH)
