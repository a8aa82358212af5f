"""Signatures: the sums of a file's blocks, by which librsync later finds what has not changed.

::

    4  72 73 01 36         weak sums as rsync rolls them, strong sums by MD4
    4  block length        in bytes
    4  strong length       of a strong sum, in bytes: 8 in what duplicity writes
    …  for each block:     weak sum (4 bytes), strong sum

Numbers are big endian; the last block may be short. Source: librsync's ``librsync.h``, what ``rdiff`` 2.3.2 writes, and
the sigtars of duplicity 3.2.1.

A block's sums depend on nothing but the block, so the sums of consecutive slices, each but the last a multiple of the
block length, are joined to those of the whole.
"""

from __future__ import annotations

import ctypes
from math import isqrt
from struct import Struct
from typing import NamedTuple

from cya.format.librsync import DONE, Buffers, failure, library

MAGIC = 0x72730136
HEAD_SIZE = 12
STRONG_LENGTH = 8
"""Bytes of each strong sum that are written."""
MAX_BLOCK_LENGTH = 1 << 30
"""More than the block length of any file: that of 2**60 bytes."""

_WEAK_LENGTH = 4
_MAX_STRONG_LENGTH = 16
_STEP = 512
_HEAD = Struct(">III")


class Head(NamedTuple):
    """What a signature says of itself.

    :ivar block_length: in bytes, from 1.
    :ivar strong_length: bytes of a strong sum, 1 to 16.
    """

    block_length: int
    strong_length: int


def block_length(size: int) -> int:
    """Return the block length that duplicity 3.2.1 takes for a file of ``size`` bytes.

    That is the square root, rounded down, then up to a multiple of 512; at least 512.
    """
    return max(_STEP, -(-isqrt(size) // _STEP) * _STEP)


def head(block_length: int) -> bytes:
    """Return what a signature begins with.

    :raises ValueError: when the block length is not 1 to :data:`MAX_BLOCK_LENGTH`.
    """
    _check_block_length(block_length)
    return _HEAD.pack(MAGIC, block_length, STRONG_LENGTH)


def parse_head(data: bytes) -> Head:
    """Read what a signature, or as much of it as is there, begins with.

    :raises ValueError: when it is too short, of another kind, or has lengths that cannot be.
    """
    if len(data) < HEAD_SIZE:
        raise ValueError(f"a signature of {len(data)} bytes is shorter than its head")
    magic, length, strong_length = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise ValueError(f"not a signature by MD4: it begins with {magic:#010x}")
    _check_block_length(length)
    if not 1 <= strong_length <= _MAX_STRONG_LENGTH:
        raise ValueError(f"a strong sum has no {strong_length} bytes")
    return Head(length, strong_length)


def count_blocks(head: Head, size: int) -> int:
    """Return how many blocks a signature of ``size`` bytes, its head among them, holds the sums of.

    :raises ValueError: when it ends within its head or within the sums of a block.
    """
    count, rest = divmod(size - HEAD_SIZE, _WEAK_LENGTH + head.strong_length)
    if count < 0 or rest:
        raise ValueError(f"a signature of {size} bytes ends within the sums of a block")
    return count


def size_range(head: Head, size: int) -> tuple[int, int]:
    """Return the smallest and the largest size of the files that have a signature of ``size`` bytes.

    A file of another size has changed, which so is known without reading it.

    :raises ValueError: when the signature ends within its head or within the sums of a block.
    """
    count = count_blocks(head, size)
    return (max(0, (count - 1) * head.block_length + 1) if count else 0, count * head.block_length)


class Signer:
    """Makes signatures one after another, always in the same memory; not in two threads at once."""

    def __init__(self) -> None:
        self._buffers = Buffers()
        self._place = ctypes.addressof(self._buffers)
        self._reserve(1 << 12)

    def signature(self, address: int, length: int, block_length: int) -> bytes:
        """Return the signature, head and sums, of ``length`` bytes of memory.

        The memory is read without the interpreter's lock: it has to stay where it is, and should not change meanwhile.

        :raises ValueError: when the length is negative or the block length cannot be.
        :raises MissingProgram: without librsync.
        """
        if length <= 0:
            if length:
                raise ValueError(f"no memory has {length} bytes")
            return head(block_length)
        _check_block_length(block_length)
        rs = library()
        size = HEAD_SIZE + -(-length // block_length) * (_WEAK_LENGTH + STRONG_LENGTH)
        if size > len(self._view):
            self._reserve(size)
        buffers = self._buffers
        buffers.next_in, buffers.avail_in, buffers.eof_in = address, length, 1
        buffers.next_out, buffers.avail_out = self._address, size
        job = rs.sig_begin(block_length, STRONG_LENGTH, MAGIC)
        result = rs.job_iter(job, self._place)
        rs.job_free(job)
        if result != DONE or buffers.avail_out:
            raise failure("a signature could not be made", result)
        return self._view[:size].tobytes()

    def _reserve(self, size: int) -> None:
        memory = ctypes.create_string_buffer(size)
        self._view, self._address = memoryview(memory).cast("B"), ctypes.addressof(memory)


def blocks(address: int, length: int, block_length: int) -> bytes:
    """Return the sums, without a head, of the blocks of ``length`` bytes of memory; see :meth:`Signer.signature`."""
    return Signer().signature(address, length, block_length)[HEAD_SIZE:]


def _check_block_length(length: int) -> None:
    if not 1 <= length <= MAX_BLOCK_LENGTH:
        raise ValueError(f"a block has no {length} bytes")
