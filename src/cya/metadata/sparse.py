"""``sparse.txtz``: holes, as ``SIZE:OFFSET+LENGTH,OFFSET+LENGTH`` in bytes; the extents are what is not a hole."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice

Extents = tuple[tuple[int, int], ...]
"""Offset and length in bytes of data, ascending, apart from each other, none of them empty."""

MOST = 1_000_000
"""Extents of a file; holes behind so many are not told of, so that a field is never longer than a reader takes."""

_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
_TEXT = re.compile(rb"([0-9]{1,19}):((?:[0-9]{1,19}\+[0-9]{1,19}(?:,|$))*)")
_LARGEST = (1 << 63) - 1
_KEEP_SIZE_PUNCH_HOLE = 0x01 | 0x02


def extents(fd: int, size: int) -> Extents | None:
    """Return where a file has data; None where it has no hole, or its file system cannot tell.

    Space that was reserved and not yet written is a hole. The descriptor's position moves.

    :param size: of the file; what lies behind it is not looked at.
    """
    try:
        found = tuple(islice(_data(fd, 0, size), MOST))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return None
        raise
    if len(found) == MOST:
        last = found[-1][0]
        found = (*found[:-1], (last, size - last))
    return None if found == ((0, size),) or size == 0 else found


def text(size: int, extents: Extents) -> bytes:
    """Write the field of a file with holes."""
    return b"%d:" % size + b",".join([b"%d+%d" % extent for extent in extents])


def parse(text: bytes) -> tuple[int, Extents]:
    """Read a file's size and extents.

    :raises ValueError: when it is not that, or the extents are not ascending, apart from each other and in the file.
    """
    found = _TEXT.fullmatch(text)
    if found is None or text.endswith(b","):
        raise ValueError(f"{text[:80]!r} are not extents")
    size, read, end = int(found[1]), [], -1
    for word in found[2].split(b",") if found[2] else ():
        offset, _, length = word.partition(b"+")
        extent = int(offset), int(length)
        if extent[0] <= end or extent[1] == 0:
            raise ValueError(
                f"{text[:80]!r}: the extent {word!r} is empty, or not behind and apart from the one before"
            )
        end = sum(extent)
        read.append(extent)
    if max(end, size) > min(size, _LARGEST):
        raise ValueError(f"{text[:80]!r}: extents reach beyond the end of the file")
    return size, tuple(read)


def recreate(fd: int, size: int, extents: Extents) -> None:
    """Make a file's data and holes those, as exactly as its file system's blocks allow; its content stays the same.

    :param fd: open for reading and writing; its position moves.
    :raises ValueError: when the file has another size, or bytes that are not zero where a hole should be: nothing has
        been changed then.
    :raises OSError: EOPNOTSUPP where the file system cannot make holes, ENOSPC where there is no space for zeros.
    """
    there = os.fstat(fd).st_size
    if there != size:
        raise ValueError(f"the file has {there} bytes, and not {size}")
    holes = tuple(_between(0, size, extents))
    for hole in holes:
        for begin, length in _data(fd, *hole):
            if not _is_zero(fd, begin, begin + length):
                raise ValueError(f"the file has data between {begin} and {begin + length}, where a hole should be")
    for hole in holes:
        for begin, length in _data(fd, *hole):
            # The block in which the file ends is freed only if it is punched to its end.
            _punch(fd, begin, length if begin + length < size else length + _CHUNK)
    for offset, length in extents:
        for hole in _between(offset, offset + length, _data(fd, offset, offset + length)):
            _write_zeros(fd, *hole)


def _data(fd: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield offsets and lengths of data between two offsets."""
    while begin < end:
        try:
            data = os.lseek(fd, begin, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        if data >= end:
            return
        begin = min(os.lseek(fd, data, os.SEEK_HOLE), end)
        if begin > data:
            yield data, begin - data


def _between(begin: int, end: int, extents: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the beginnings and ends of what extents leave free between two offsets."""
    for offset, length in extents:
        if offset > begin:
            yield begin, offset
        begin = offset + length
    if begin < end:
        yield begin, end


def _is_zero(fd: int, begin: int, end: int) -> bool:
    return all(_ZEROS.startswith(os.pread(fd, min(_CHUNK, end - at), at)) for at in range(begin, end, _CHUNK))


_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def _punch(fd: int, begin: int, length: int) -> None:
    while _fallocate(fd, _KEEP_SIZE_PUNCH_HOLE, begin, length) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def _write_zeros(fd: int, begin: int, end: int) -> None:
    while begin < end:
        amount = min(_CHUNK, end - begin)
        # A file system may be wrong about a hole. Asking costs little.
        begin += os.pwrite(fd, _ZEROS[:amount], begin) if _is_zero(fd, begin, begin + amount) else amount
