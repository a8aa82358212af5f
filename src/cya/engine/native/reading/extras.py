"""What ``.dupext`` says of each path, sorted by key, so that all workers find it where they are.

The file is a run (see :mod:`.runs`); beside it lies where in it each record begins, 8 bytes each.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from cya.metadata.look import ACCESS
from cya.metadata.sparse import Extents

_HEAD = 8
_FAR = 32
"""Records that are passed one by one; what is farther ahead is searched for."""


class Item(NamedTuple):
    """What there is of one path.

    :ivar mtime_ns: None: as the archive has it.
    :ivar flags: those that can only be set on an empty file count here; see :mod:`cya.metadata.inode_flags`.
    :ivar extents: where the file has data, ``size`` bytes in all; None: everywhere.
    :ivar group: what its group may do by its ACL, whose mask stands in the mode; None where there is no ACL.
    """

    mtime_ns: int | None = None
    attributes: tuple[tuple[bytes, bytes], ...] = ()
    flags: int = 0
    extents: Extents | None = None
    size: int = 0
    group: int | None = None

    @property
    def has_acl(self) -> bool:
        """Whether more than the mode says who may do what with it."""
        return any(name == ACCESS for name, _ in self.attributes)


NOTHING = Item()
_SECOND = 1_000_000_000
_Packed = tuple[tuple[int, int] | None, tuple[tuple[bytes, bytes], ...], int, Extents | None, int, int | None]
_decoder = msgspec.msgpack.Decoder(_Packed)


def write(path: Path, items: Iterable[tuple[bytes, Item]]) -> None:
    """Write a file of items, whose keys ascend."""
    places = array("Q")
    at = 0
    with open(path, "xb") as file:
        for key, item in items:
            # Nanoseconds of any year have more bits than msgpack takes.
            moment = divmod(item.mtime_ns, _SECOND) if item.mtime_ns is not None else None
            value = msgspec.msgpack.encode((moment, *item[1:]))
            file.write(b"%b%b%b%b" % (len(key).to_bytes(4, "little"), len(value).to_bytes(4, "little"), key, value))
            places.append(at)
            at += _HEAD + len(key) + len(value)
    with open(_places(path), "xb") as file:
        places.tofile(file)


class Extras:
    """Finds items by key; quickly when keys are asked for in their order."""

    def __init__(self, path: Path | None) -> None:
        """Open a file; None: there is nothing."""
        self._places = array("Q")
        self._number = 0
        self._key = b""
        self._value = b""
        self._file: BinaryIO | None = None
        if path is None:
            return
        self._file = open(path, "rb")  # noqa: SIM115 closed by close()
        with open(_places(path), "rb") as places:
            self._places.frombytes(places.read())
        if self._places:
            self._read(0)

    def of(self, key: bytes) -> Item:
        """Return what there is of a path."""
        if not self._places:
            return NOTHING
        if not self._is_near(key):
            self._search(key)
        return self._item() if key == self._key else NOTHING

    def items(self) -> Iterator[tuple[bytes, Item]]:
        """Yield everything, in order."""
        for number in range(len(self._places)):
            self._read(number)
            yield self._key, self._item()

    def backwards(self) -> Iterator[tuple[bytes, Item]]:
        """Yield everything, the last key first."""
        for number in reversed(range(len(self._places))):
            self._read(number)
            yield self._key, self._item()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _is_near(self, key: bytes) -> bool:
        """Go on to a key; return False if it is not near."""
        if key < self._key:
            return False
        for _ in range(_FAR):
            if key <= self._key or self._number + 1 == len(self._places):
                return True
            self._read(self._number + 1, in_order=True)
        return False

    def _search(self, key: bytes) -> None:
        low, high = 0, len(self._places) - 1
        while low < high:
            middle = (low + high) // 2
            self._read(middle)
            if self._key < key:
                low = middle + 1
            else:
                high = middle
        self._read(low)

    def _item(self) -> Item:
        moment, *rest = _decoder.decode(self._value)
        return Item(moment[0] * _SECOND + moment[1] if moment is not None else None, *rest)

    def _read(self, number: int, *, in_order: bool = False) -> None:
        assert self._file is not None  # noqa: S101 there are records
        if not in_order:
            self._file.seek(self._places[number])
        head = self._file.read(_HEAD)
        self._key = self._file.read(int.from_bytes(head[:4], "little"))
        self._value = self._file.read(int.from_bytes(head[4:], "little"))
        self._number = number


def _places(path: Path) -> Path:
    return path.with_name(os.fspath(path.name) + ".places")
