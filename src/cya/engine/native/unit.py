"""The buffer in which a unit is made: a piece of a difftar, and the piece of a sigtar that goes with it."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os

from isal import isal_zlib

from cya.engine.native.tasks import Part
from cya.format import tar_header

LEVEL = 2
"""Of isal: two per cent more than zlib's level 6 makes, at ten times its speed."""


class Unit:
    """One large buffer, used again and again.

    A file is read straight behind where its header will be, and signed and deflated where it is: nothing is copied.

    :ivar end: bytes of the difftar that are there.
    :ivar signed: bytes of the sigtar that are there.
    """

    def __init__(self, capacity: int) -> None:
        self._buffer = mmap.mmap(-1, capacity)
        self._view = memoryview(self._buffer)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        self._deflate = isal_zlib.compressobj(LEVEL, wbits=-15)
        self._signatures: list[bytes] = []
        self.end = 0
        self.signed = 0

    def clear(self) -> None:
        """Begin a new unit."""
        self.end = self.signed = 0
        self._signatures.clear()

    def address(self, ahead: int) -> int:
        """Return the address of the byte that stands so many bytes behind the end."""
        return self._address + self.end + ahead

    def read(self, file: int, ahead: int, size: int, offset: int = 0) -> int:
        """Read a part of a file to where it stands ``ahead`` bytes behind the end; return how much there was.

        :raises OSError: when it cannot be read.
        """
        start = self.end + ahead
        done = 0
        while done < size:
            count = os.preadv(file, [self._view[start + done : start + size]], offset + done)
            if count == 0:
                break
            done += count
        return done

    def place(self, ahead: int, data: bytes) -> None:
        """Put data where they stand ``ahead`` bytes behind the end."""
        start = self.end + ahead
        self._buffer[start : start + len(data)] = data

    def entry(self, header: bytes, size: int) -> None:
        """Write the header of content that is in its place behind it already."""
        start = self.end
        content = start + len(header)
        self._buffer[start:content] = header
        end = content + size
        missing = -size % tar_header.BLOCK
        self._buffer[end : end + missing] = bytes(missing)
        self.end = end + missing

    def entry_with(self, header: bytes, content: bytes) -> None:
        """Write a header and its content."""
        self.place(len(header), content)
        self.entry(header, len(content))

    def sign(self, header: bytes, content: bytes = b"") -> None:
        """Write an entry of the sigtar."""
        missing = bytes(-len(content) % tar_header.BLOCK)
        self._signatures += (header, content, missing)
        self.signed += len(header) + len(content) + len(missing)

    def entries_part(self) -> Part:
        """Deflate the piece of the difftar, and hash it: see :mod:`cya.format.volume_index`."""
        part = self.part(self._view[: self.end])
        return hashed(part) if part.length else part

    def signatures_part(self) -> Part:
        """Deflate the piece of the sigtar."""
        return self.part(b"".join(self._signatures))

    def part(self, data: bytes | memoryview) -> Part:
        """Deflate a piece of a tar."""
        if not data:
            return Part(b"", 0, 0)
        deflated = self._deflate.compress(data) + self._deflate.flush(isal_zlib.Z_FULL_FLUSH)
        return Part(deflated, len(data), isal_zlib.crc32(data))


def hashed(part: Part) -> Part:
    """Return a piece of a difftar with its hash."""
    return part._replace(digest=hashlib.sha256(part.deflated).digest())
