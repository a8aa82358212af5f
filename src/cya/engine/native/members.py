"""Gzip files of many members: the local sigtars, of which a part can be read without reading all before it.

A gzip file may be any number of members after each other (RFC 1952, 2.2); every reader takes them for one stream.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from isal import igzip_lib, isal_zlib

LARGEST = 1 << 20
"""Inflated bytes in a member that we make; one that is larger is taken to be somebody else's."""

_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_TAIL = struct.Struct("<II")
_LAST_BLOCK = b"\x03\x00"
_PIECE = 1 << 16


# The stubs take it for an instance.
_BROKEN: tuple[type[Exception], ...] = (OSError, EOFError, igzip_lib.error)  # type: ignore[assignment]


class Readable(Protocol):
    """A file."""

    @property
    def name(self) -> object:
        """What it is called."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes."""


class SignaturesDamaged(ValueError):
    """A local sigtar is not what it should be; it has to be fetched again."""


def member(deflated: bytes | memoryview, crc: int, length: int) -> tuple[bytes, bytes | memoryview, bytes]:
    """Return a member in three parts.

    :param deflated: raw deflate, ended by a full flush; it need not have a last block.
    :param crc: CRC-32 of what was deflated.
    :param length: number of bytes that were deflated.
    """
    return _HEAD, deflated, _LAST_BLOCK + _TAIL.pack(crc, length & 0xFFFFFFFF)


class MemberReader:
    """Reads all of a gzip file, and remembers where its members began."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._members = _members(file)
        self._ahead = b""
        self._inflated = 0
        self._starts: list[int] = []
        self._places: list[int] = []
        self.largest = 0

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end.

        :raises SignaturesDamaged: when the file is not whole.
        """
        if not self._ahead:
            for start, inflated in self._members:
                if start is not None:
                    self._starts.append(self._inflated)
                    self._places.append(start)
                self._inflated += len(inflated)
                self.largest = max(self.largest, self._inflated - self._starts[-1])
                if inflated:
                    self._ahead = inflated
                    break
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    @property
    def members(self) -> int:
        """Number of members that have begun."""
        return len(self._starts)

    def place(self, offset: int) -> tuple[int, int]:
        """Return in which member, by its place in the file, and where in it a byte of the content that was read is."""
        found = bisect_right(self._starts, offset) - 1
        return self._places[found], offset - self._starts[found]


def read_at(file: BinaryIO, place: int, inner: int, length: int | None) -> bytes:
    """Read a part of the content.

    :param place: where a member begins in the file.
    :param inner: where the part begins in the member.
    :param length: of the part in bytes, in this member and those behind it; None: to the member's end.
    :raises SignaturesDamaged: when it is not there.
    """
    file.seek(place)
    found: list[bytes] = []
    seen = 0
    for start, inflated in _members(file, place):
        # A member is always read to its end: its checksum comes with that.
        if start is not None and found and (length is None or seen >= inner + length):
            break
        found.append(inflated)
        seen += len(inflated)
    content = b"".join(found)
    data = content[inner:] if length is None else content[inner : inner + length]
    if length is not None and len(data) != length:
        raise SignaturesDamaged("a local sigtar ends before a signature that should be in it")
    return data


def repack(read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    """Make a gzip file of members of content that comes as a stream."""
    while data := _exactly(read, LARGEST // 4):
        deflate = isal_zlib.compressobj(1, wbits=-15)
        packed = deflate.compress(data) + deflate.flush(isal_zlib.Z_FULL_FLUSH)
        for part in member(packed, isal_zlib.crc32(data), len(data)):
            write(bytes(part))


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    parts = []
    while size and (data := read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def _members(file: Readable, place: int = 0) -> Iterator[tuple[int | None, bytes]]:
    """Yield the content in pieces, and with the first of each member where that begins.

    The checksum of a member is looked at with its last piece, before that is yielded; a member that we made is one
    piece.
    """
    data = b""
    try:
        while data := data or file.read(_PIECE):
            inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            start: int | None = place
            while True:
                if inflate.needs_input and not data:
                    data = file.read(_PIECE)
                    if not data:
                        raise SignaturesDamaged(f"{file.name}: cut off")
                inflated = inflate.decompress(data, LARGEST)
                place += len(data)
                data = b""
                ended = bool(inflate.eof)
                if ended:
                    data = inflate.unused_data
                    place -= len(data)
                if inflated or ended:
                    yield start, inflated
                    start = None
                if ended:
                    break
    except _BROKEN as error:
        raise SignaturesDamaged(f"{file.name}: {error}") from error
