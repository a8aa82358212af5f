"""Parts of files that cannot be written at once: pieces in several volumes, and deltas with what they are applied to.

They lie in files in the working directory, and are told by records, by key, until all of them are there.
"""

from __future__ import annotations

import errno
import hashlib
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import msgspec

from cya.format.tar_reader import Member


class Range(msgspec.Struct, frozen=True, array_like=True):
    """Some bytes of a file in the working directory."""

    file: str
    offset: int
    length: int


class Part(msgspec.Struct, frozen=True, array_like=True):
    """What one volume holds of a path.

    :ivar increment: number in the chain.
    :ivar delta: whether it is a delta, or (a part of) a whole file.
    :ivar first, last: numbers of its pieces; 0 when it is in one piece.
    :ivar where: where it lies.
    :ivar member: of the first piece.
    """

    increment: int
    delta: bool
    first: int
    last: int
    where: Range
    member: Member


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Part)


def packed(part: Part) -> bytes:
    """Return a part as a record's value."""
    return _ENCODER.encode(part)


def unpacked(value: bytes) -> Part:
    """Return a part from a record's value."""
    return _DECODER.decode(value)


def own_file(increment: int, key: bytes) -> str:
    """Return the name of the file that all pieces of a large file are written to."""
    return f"file-{increment}-{hashlib.sha256(key).hexdigest()[:32]}"


def place_of(directory: Path, name: str) -> Path:
    """Return where a file of the working directory lies.

    :raises OSError: when the name leads anywhere else.
    """
    if os.path.basename(name) != name or name in ("", ".", ".."):
        raise OSError(errno.EINVAL, f"{name!r}: is not a file of the working directory")
    return directory / name


class Ranges:
    """Bytes that lie in several places, read as if they were one file."""

    def __init__(self, directory: Path, ranges: Sequence[Range]) -> None:
        self._directory, self._ranges = directory, ranges
        self._starts = [0, *accumulate(each.length for each in ranges)]
        self._open: dict[str, int] = {}

    @property
    def size(self) -> int:
        """In bytes."""
        return self._starts[-1]

    def is_file(self, name: str) -> bool:
        """Whether they are one file, from its beginning on."""
        return len(self._ranges) == 1 and self._ranges[0].file == name and not self._ranges[0].offset

    def read_at(self, place: int, size: int) -> bytes:
        """Return so many bytes from a place on; fewer only at the end."""
        found = []
        number = bisect_right(self._starts, place) - 1
        while size and number < len(self._ranges):
            each = self._ranges[number]
            inner = place - self._starts[number]
            some = min(size, each.length - inner)
            if some:
                data = os.pread(self._descriptor(each.file), some, each.offset + inner)
                if len(data) != some:
                    raise OSError(None, f"{each.file}: was changed while it was worked with")
                found.append(data)
            place, size, number = place + some, size - some, number + 1
        return found[0] if len(found) == 1 else b"".join(found)

    def close(self) -> None:
        """Close all files."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _descriptor(self, name: str) -> int:
        if name not in self._open:
            self._open[name] = os.open(place_of(self._directory, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return self._open[name]
