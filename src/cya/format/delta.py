"""Deltas: how a new file is made out of an old one, of which only the signature is there.

::

    4  72 73 02 36
    …  commands: a length and that many literal bytes, or the place and the length of what is copied from the old file
    1  00

The commands of consecutive slices of the new file are joined to those of the whole:
``MAGIC + commands + commands + … + END``. Source: librsync's ``librsync.h``, and what ``rdiff`` 2.3.2 writes and reads.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from struct import Struct
from threading import Lock
from types import TracebackType

from cya.format.librsync import BLOCKED, DONE, Buffers, failure, library
from cya.format.signature import HEAD_SIZE, count_blocks, parse_head
from cya.format.sums import thinned

MAGIC = b"rs\x026"
END = b"\0"

_LITERAL = Struct(">BI")
_COPY = Struct(">BQQ")
_COPY_BY_8_AND_8_BYTES = 0x54
_LITERAL_BY_4_BYTES = 0x43
_MAX_LITERAL = 1 << 20
_MISS = 32768  # so long is a literal, at most, before librsync begins another one
_MAX_COPY = 17 + 5  # bytes of the longest copying command, and of the beginning of a literal after it

_MAX_BLOCKS = 1 << 27
_MAX_JOB = 1 << 30  # librsync counts some lengths by int

# Where a weak sum fits and the strong one does not, librsync computes a block's MD4 for each byte. In a file of 1 GB (a
# block has 32 KiB) that happens to all runs of one byte beside zeros in the old one, at some 20 KB/s.
_GRACE = 2.0  # seconds of the processor
_MOST_PATIENCE = 30.0
_SLOWEST = 4e6  # bytes a second; with nothing alike it is ten times that and more
_MAX_CHUNK = 1 << 20
_MIN_CHUNK = 1 << 14
_CHUNK_BY_BLOCK = 1 << 30


def copy(place: int, length: int) -> bytes:
    """Return the command that copies a part of the old file."""
    return _COPY.pack(_COPY_BY_8_AND_8_BYTES, place, length)


class Basis:
    """The signature of an old file, ready to make deltas against; several threads may do so at once.

    :ivar block_length: of the signature, in bytes.
    """

    def __init__(self, data: bytes) -> None:
        """Read a whole signature.

        :raises ValueError: when it is malformed.
        :raises MissingProgram: without librsync.
        """
        head = parse_head(data)
        count = count_blocks(head, len(data))
        if count > _MAX_BLOCKS:
            raise ValueError(f"a signature of {count} blocks is longer than any")
        self.block_length = head.block_length
        # A file without blocks has nothing to copy from: all is literal, and librsync is not needed.
        self._signature = _Signature(thinned(data, HEAD_SIZE, head.strong_length)) if count else None
        self._closed = False
        self._patience = _Patience()

    def delta(self, address: int, length: int) -> bytes:
        """Return the commands, without magic and end, that make ``length`` bytes of memory out of the old file.

        What would take too long to compare is written as literal bytes. The memory is read without the interpreter's
        lock: it has to stay where it is, and should not change meanwhile.

        :raises ValueError: when the length is negative or the basis is closed.
        """
        if length < 0:
            raise ValueError(f"no memory has {length} bytes")
        # A name of its own keeps the signature until the delta is made, whoever closes the basis meanwhile.
        signature = self._signature
        if self._closed:
            raise ValueError("the basis is closed")
        parts: list[bytes] = []
        done = 0
        while signature is not None and done < length and self._patience.lasts:
            size = min(length - done, _MAX_JOB)
            compared = self._compare(signature, address + done, size, parts)
            done += compared
            if compared < size:
                break
        if done < length:
            parts.extend(_literals(address + done, length - done))
            self._patience.spend(0.0, length - done)
        return b"".join(parts)

    def _compare(self, signature: _Signature, address: int, length: int, parts: list[bytes]) -> int:
        """Add the commands for as much as there is patience for, and return how many bytes that is."""
        chunk = max(min(_MAX_CHUNK, max(_MIN_CHUNK, _CHUNK_BY_BLOCK // self.block_length)), self.block_length // 16)
        done = 0
        with _Job(signature, min(chunk, length)) as job:
            ended = False
            while not ended:
                size = min(chunk, length - done)
                began = time.thread_time()
                job.feed(address + done, size)
                done += size
                self._patience.spend(time.thread_time() - began, size)
                ended = done == length or not self._patience.lasts
            began = time.thread_time()
            job.end()
            self._patience.spend(time.thread_time() - began, 0)
            parts.extend(job.commands())
        return done

    def close(self) -> None:
        """Let the memory go; twice is no error."""
        self._closed = True
        self._signature = None

    def __enter__(self) -> Basis:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def max_size(length: int, block_length: int) -> int:
    """Return how many bytes :meth:`Basis.delta` returns for ``length`` bytes, at most."""
    copies = 1 + length // _MAX_JOB + (length // block_length if block_length < _MAX_COPY else 0)
    return length + _MAX_COPY * copies + _LITERAL.size * (2 + length // _MISS)


class _Patience:
    """How much time is left: some at first, and more with each byte, so that no file takes out of proportion."""

    def __init__(self) -> None:
        self._left = _GRACE
        self._lock = Lock()

    @property
    def lasts(self) -> bool:
        return self._left > 0

    def spend(self, seconds: float, length: int) -> None:
        with self._lock:
            self._left = min(self._left + length / _SLOWEST, _MOST_PATIENCE) - seconds


class _Signature:
    """A signature in librsync's memory, freed when nobody refers to it."""

    def __init__(self, data: bytes) -> None:
        self._free = library().free_sumset
        self.address = _load(data)

    def __del__(self) -> None:
        if address := getattr(self, "address", None):
            self._free(address)


def _load(data: bytes) -> int:
    rs = library()
    signature = ctypes.c_void_p()
    job = rs.loadsig_begin(ctypes.byref(signature))
    buffers = Buffers(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 1, None, 0)
    result = rs.job_iter(job, ctypes.byref(buffers))
    rs.job_free(job)
    if result == DONE:
        result = rs.build_hash_table(signature)
    if result != DONE or signature.value is None:
        rs.free_sumset(signature)
        raise failure("a signature could not be read", result)
    return signature.value


class _Job:
    """A delta in the making; an error in between leaves nothing behind."""

    def __init__(self, signature: _Signature, chunk: int) -> None:
        self._rs = library()
        self._parts: list[bytes] = []
        # What comes out for a chunk fits, but for what was held back before; then there is a second round.
        self._size = chunk + 1024
        self._out = ctypes.create_string_buffer(self._size)
        self._address = ctypes.addressof(self._out)
        self._signature = signature
        self._job = self._rs.delta_begin(signature.address)

    def feed(self, address: int, length: int) -> None:
        self._run(Buffers(address, length, 0, None, 0))

    def end(self) -> None:
        self._run(Buffers(None, 0, 1, None, 0))

    def commands(self) -> list[bytes]:
        """Return the commands without what begins and ends a delta."""
        if not self._parts or not self._parts[0].startswith(MAGIC) or not self._parts[-1].endswith(END):
            raise failure("a delta is not as it should be", DONE)
        self._parts[0] = self._parts[0][len(MAGIC) :]
        self._parts[-1] = self._parts[-1][: -len(END)]
        return self._parts

    def _run(self, buffers: Buffers) -> None:
        while True:
            buffers.next_out, buffers.avail_out = self._address, self._size
            result = self._rs.job_iter(self._job, ctypes.byref(buffers))
            if buffers.avail_out < self._size:
                self._parts.append(ctypes.string_at(self._address, self._size - buffers.avail_out))
            if result == DONE and buffers.eof_in:
                return
            if result != BLOCKED or (buffers.eof_in and buffers.avail_out):
                raise failure("a delta could not be made", result)
            if buffers.avail_out and not buffers.avail_in:
                return

    def __enter__(self) -> _Job:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rs.job_free(self._job)


def _literals(address: int, length: int) -> Iterator[bytes]:
    for done in range(0, length, _MAX_LITERAL):
        size = min(_MAX_LITERAL, length - done)
        yield _LITERAL.pack(_LITERAL_BY_4_BYTES, size)
        yield ctypes.string_at(address + done, size)
