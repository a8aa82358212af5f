"""The index at the end of a volume: which entries each part of it holds, so that one file is found without reading all.

A volume's tar is deflated in parts of whole entries, each ended by a full flush: it can be inflated alone. Behind the
end of the tar, where no reader of tars looks, comes one more such part: the index, in msgpack an array with one array
for each part, in their order:

    key of its first entry      bytes: the components of the path, joined by zero bytes
    length                      of the part, deflated
    SHA-256                     of the part, deflated

What stands in the manifest says where the index is and what it has to be, so what proves the manifest proves each part.
There it is one more hash of the volume, which stock duplicity passes over::

    Hash CYA-INDEX 00000000000f3a17000000000000012c7f1e3ef7…

offset and length of the index, 8 bytes each, big-endian, and its SHA-256, all three of what is deflated, counted from
the first part.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

NAME = "CYA-INDEX"
"""Of the hash in the manifest."""
LARGEST = 1 << 26
"""Bytes that an index may have, deflated or not."""

_PLACE = struct.Struct(">QQ32s")
_ROOM = 64
"""Bytes of an entry besides its key, and more."""


class IndexDamaged(ValueError):
    """An index that is not one, or not the one that the manifest means."""


class Place(NamedTuple):
    """Where an index, or a part of the volume, is in what is deflated, and the SHA-256 that it has."""

    offset: int
    length: int
    digest: bytes


class Indexed(msgspec.Struct, frozen=True, array_like=True):
    """A part of a volume.

    :ivar first: key of its first entry.
    :ivar length: in bytes, deflated.
    :ivar digest: SHA-256 of these.
    """

    first: bytes
    length: int
    digest: bytes


def place_of(offset: int, deflated: bytes | memoryview) -> str:
    """Return what the manifest says of an index."""
    return _PLACE.pack(offset, len(deflated), hashlib.sha256(deflated).digest()).hex()


def parse_place(digits: str) -> Place | None:
    """Read what the manifest says of an index; None when it is none, or says what cannot be."""
    try:
        place = Place(*_PLACE.unpack(bytes.fromhex(digits)))
    except (ValueError, struct.error):
        return None
    return place if place.length <= LARGEST else None


def room(key: bytes) -> int:
    """Return the most bytes that an entry adds to an index, deflated or not."""
    return len(key) + _ROOM


def encode(parts: Sequence[Indexed]) -> bytes:
    """Return an index, not deflated yet."""
    return msgspec.msgpack.encode(parts)


def parse(data: bytes) -> list[Indexed]:
    """Read an index.

    :raises IndexDamaged: when it is none.
    """
    try:
        return msgspec.msgpack.decode(data, type=list[Indexed])
    except msgspec.MsgspecError as error:
        raise IndexDamaged(str(error)) from None


def sections(parts: Sequence[Indexed], keys: Iterable[bytes]) -> list[Place]:
    """Return the parts that may hold entries of these keys, or below them, in their order.

    A part may begin in the middle of a file whose key the one before has, too.
    """
    firsts = [part.first for part in parts]
    wanted: set[int] = set()
    for key in keys:
        end = bisect_left(firsts, key + b"\1") if key else len(firsts)  # below the source is everything
        wanted.update(range(max(0, bisect_left(firsts, key) - 1), end))
    found, offset = [], 0
    for number, part in enumerate(parts):
        if number in wanted:
            found.append(Place(offset, part.length, part.digest))
        offset += part.length
    return found
