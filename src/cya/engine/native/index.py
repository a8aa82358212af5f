"""The index: what is known of every path of a chain, and where its signature stands in the local sigtars.

It is a cache: without it, or when it is not whole or of another chain, it is made again from the local sigtars. With it
an increment reads no sigtar at all, except for the signatures of files that have changed; and it knows of each file the
size, inode and change time, which the format does not hold.

The file: :data:`MAGIC`; blocks; a JSON header; the header's length as 4 bytes; SHA-1 of all before. A block is two
lengths of 4 bytes (deflated, inflated) and deflated content: the number of records in 4 bytes, a fixed part for each
record, all keys and all links, each joined by a byte that cannot stand in them. Numbers are little endian.

The blocks are two runs, each in order: what was found unchanged is written at once, what has changed when it is stored.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from isal import isal_zlib

from cya.engine.native.known import Known

MAGIC = b"cya index 3\n"
_FIXED = struct.Struct("<IIIqqqQHQQQ?")
_LENGTHS = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
# The stubs take isal's error for an instance.
_BROKEN: tuple[type[Exception], ...] = (OSError, ValueError, struct.error, isal_zlib.error)  # type: ignore[assignment]
_RECORDS = 4096
_LARGEST = 1 << 28


class Signatures(msgspec.Struct, frozen=True):
    """The local sigtar of one increment: whose it is, and its CRC-32 when the index was made."""

    start: int | None
    end: int
    crc: int


class Header(msgspec.Struct, frozen=True):
    """What stands at the index's end.

    :ivar source: the directory that was backed up; the numbers of inodes mean nothing elsewhere.
    :ivar chain: the local sigtars that records refer to, the full first.
    :ivar files: number of records.
    :ivar size: of all regular files in bytes, as far as it is known.
    :ivar second: where the second run begins.
    """

    source: bytes
    chain: tuple[Signatures, ...]
    files: int
    size: int
    second: int


class IndexDamaged(ValueError):
    """The index is not whole; it has to be made again."""


class IndexWriter:
    """Writes an index to a new file; without :meth:`finish` it is not valid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")  # noqa: SIM115
        self._hash = hashlib.sha1(usedforsecurity=False)
        self._records: list[Known] = []
        self.files = 0
        self.bytes = 0
        self._second = 0
        self._write(MAGIC)

    def add(self, record: Known) -> None:
        """Add a record; keys must ascend in each run."""
        self._records.append(record)
        if len(self._records) == _RECORDS:
            self._flush()

    def next_run(self) -> None:
        """End the first run."""
        self._flush()
        self._second = self._file.tell()

    def finish(self, source: bytes, chain: tuple[Signatures, ...]) -> None:
        """Write what makes the index valid, and close the file."""
        self._flush()
        header = msgspec.json.encode(Header(source, chain, self.files, self.bytes, self._second or self._file.tell()))
        self._write(header + _LENGTH.pack(len(header)))
        self._file.write(self._hash.digest())
        self._file.close()

    def abandon(self) -> None:
        """Close and remove the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._records:
            return
        records, self._records = self._records, []
        self.files += len(records)
        self.bytes += sum(record.size for record in records if record.length and record.size > 0)
        content = b"".join(
            (
                _LENGTH.pack(len(records)),
                *[_FIXED.pack(*record[1:13]) for record in records],
                b"/".join([record.key for record in records]),
                b"\0\0",
                b"\0".join([record.link for record in records]),
            )
        )
        packed = isal_zlib.compress(content, 0)
        self._write(_LENGTHS.pack(len(packed), len(content)) + packed)

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


def read_header(path: Path) -> Header | None:
    """Read an index's header, having made sure that the file is whole; None when there is no file.

    :raises IndexDamaged: when it is not whole.
    """
    try:
        with open(path, "rb") as file:
            return _checked(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IndexDamaged(f"{path}: {error.strerror}") from error


def read(path: Path) -> Iterator[Known]:
    """Yield the records of an index that :func:`read_header` found whole.

    :raises IndexDamaged: when it changed since.
    """
    try:
        with open(path, "rb") as file, open(path, "rb") as again:
            header, end = _header(file)
            seen = 0
            for record in _merged(_run(file, len(MAGIC), header.second), _run(again, header.second, end)):
                seen += 1
                yield record
            if seen != header.files:
                raise IndexDamaged(f"{path}: {seen} records instead of {header.files}")
    except _BROKEN as error:
        raise IndexDamaged(f"{path}: {error}") from error


def _run(file: BinaryIO, start: int, end: int) -> Iterator[Known]:
    file.seek(start)
    while file.tell() < end:
        yield from _block(file)


def _merged(first: Iterator[Known], second: Iterator[Known]) -> Iterator[Known]:
    # Not heapq.merge: it takes four times as long, for every file of every backup.
    other = next(second, None)
    for record in first:
        while other is not None and other.key < record.key:
            yield other
            other = next(second, None)
        yield record
    if other is not None:
        yield other
        yield from second


def _checked(file: BinaryIO) -> Header:
    size = os.fstat(file.fileno()).st_size
    if file.read(len(MAGIC)) != MAGIC or size < len(MAGIC) + _LENGTH.size + 20:
        raise IndexDamaged(f"{file.name}: not an index of this version")
    digest = hashlib.sha1(MAGIC, usedforsecurity=False)
    left = size - 20 - len(MAGIC)
    while left:
        data = file.read(min(left, 1 << 20))
        if not data:
            raise IndexDamaged(f"{file.name}: cut off")
        digest.update(data)
        left -= len(data)
    if digest.digest() != file.read():
        raise IndexDamaged(f"{file.name}: the checksum is wrong")
    return _header(file)[0]


def _header(file: BinaryIO) -> tuple[Header, int]:
    """Read the header; return it, and where the blocks end."""
    size = os.fstat(file.fileno()).st_size
    file.seek(size - 20 - _LENGTH.size)
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    start = size - 20 - _LENGTH.size - length
    if start < len(MAGIC):
        raise IndexDamaged(f"{file.name}: the header is longer than the file")
    file.seek(start)
    try:
        return msgspec.json.decode(file.read(length), type=Header), start
    except ValueError as error:
        raise IndexDamaged(f"{file.name}: the header is malformed: {error}") from error


def _block(file: BinaryIO) -> list[Known]:
    packed, length = _LENGTHS.unpack(file.read(_LENGTHS.size))
    if packed > _LARGEST or length > _LARGEST:
        raise IndexDamaged(f"{file.name}: a block is too large")
    content = isal_zlib.decompress(file.read(packed), bufsize=length + 1)
    (count,) = _LENGTH.unpack_from(content)
    names = _LENGTH.size + count * _FIXED.size
    fixed = _FIXED.iter_unpack(memoryview(content)[_LENGTH.size : names])
    # The last key cannot end in a zero byte, and a key has no two of them: the first two are the border.
    keys, _, links = content[names:].partition(b"\0\0")
    found = [
        Known._make((key, *numbers, link))
        for key, numbers, link in zip(keys.split(b"/"), fixed, links.split(b"\0"), strict=False)
    ]
    if len(found) != count:
        raise IndexDamaged(f"{file.name}: a block is malformed")
    return found
