"""Makes the index of a volume while that is written: see :mod:`cya.format.volume_index`."""

from __future__ import annotations

from cya.engine.native.sealing import END_OF_TAR, Sealed, deflated
from cya.engine.native.tasks import Part
from cya.format import volume_index
from cya.format.volume_index import Indexed

_HEAD = 16
"""Bytes of an index without entries, and more."""


class Indexing:
    """The index of one volume."""

    def __init__(self, volume: Sealed) -> None:
        self._volume = volume
        self._parts: list[Indexed] = []
        self._size = _HEAD

    def room(self, key: bytes) -> int:
        """Return the most bytes that the index needs when one more part is added, whose first entry has this key."""
        return self._size + volume_index.room(key) if self._volume.takes_index else 0

    def add(self, key: bytes, part: Part) -> None:
        """Add a part that the volume has got."""
        if self._volume.takes_index:
            self._parts.append(Indexed(key, len(part.deflated), part.digest))
            self._size += volume_index.room(key)

    def write(self) -> dict[str, str]:
        """Write it behind the end of the tar; return what the manifest says of it, as a hash."""
        if not self._parts:
            return {}
        index = deflated(volume_index.encode(self._parts))
        offset = sum(part.length for part in self._parts) + len(END_OF_TAR.deflated)
        self._volume.write(index)
        return {volume_index.NAME: volume_index.place_of(offset, index.deflated)}
