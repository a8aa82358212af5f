"""Puts a file together from what an old version has and from deltas, each of which was made against the one before.

Each byte of the newest version is traced back through all deltas to where it stands: in one of them, or in the old
version. So it is written once, however many deltas there are. Where they have so many commands that tracing would take
much memory, the oldest are applied one after another first.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

from cya.engine.native.reading.parts import Range, Ranges
from cya.engine.native.reading.target import is_hole
from cya.format.delta_commands import DeltaDamaged, commands

MOST_COMMANDS = 1 << 21
"""Commands that are traced through at once."""
_LITERAL = 1 << 63
_LARGEST = (1 << 63) - 1
_AT_ONCE = 1 << 20


class Layer:
    """The commands of one delta, by the place in what it makes."""

    def __init__(self, delta: Ranges, most: int) -> None:
        """Read them.

        :raises DeltaDamaged: when it is malformed.
        :raises TooMany: when there are more than ``most``.
        """
        self.delta = delta
        self.starts, self.sources = array("Q"), array("Q")
        self.size = 0
        for copy, place, length in commands(delta.read_at, delta.size):
            if len(self.starts) == most:
                raise TooMany
            self.starts.append(self.size)
            self.sources.append(place if copy else place | _LITERAL)
            self.size += length
            if self.size > _LARGEST:
                raise DeltaDamaged("a delta makes more than a file can hold")

    def pieces(self, place: int, length: int) -> Iterator[tuple[bool, int, int]]:
        """Yield where some bytes come from: whether from the version before, the place there, and the length.

        :raises DeltaDamaged: when there are not so many.
        """
        if place + length > self.size:
            raise DeltaDamaged("a delta copies what the version before does not have")
        number = bisect_right(self.starts, place) - 1
        while length:
            inner = place - self.starts[number]
            end = self.starts[number + 1] if number + 1 < len(self.starts) else self.size
            some = min(length, end - place)
            source = self.sources[number]
            yield not source & _LITERAL, (source & ~_LITERAL) + inner, some
            place, length, number = place + some, length - some, number + 1


class TooMany(Exception):
    """A delta has more commands than there is memory for."""


def trace(layers: Sequence[Layer], base_size: int) -> Iterator[tuple[int, int, int]]:
    """Yield where the newest version comes from: number of the layer (-1: the old version), place there, length.

    :raises DeltaDamaged: when something is copied that is not there.
    """
    if not layers:
        if base_size:
            yield -1, 0, base_size
        return
    top = len(layers) - 1
    waiting = [(top, layers[top].pieces(0, layers[top].size))]
    while waiting:
        number, pieces = waiting[-1]
        piece = next(pieces, None)
        if piece is None:
            waiting.pop()
            continue
        copied, place, length = piece
        if not copied:
            yield number, place, length
        elif number:
            waiting.append((number - 1, layers[number - 1].pieces(place, length)))
        elif place + length > base_size:
            raise DeltaDamaged("a delta copies what the version before does not have")
        else:
            yield -1, place, length


class Patch:
    """Makes the newest version of one file."""

    def __init__(self, work: Path, base: Sequence[Range], deltas: Sequence[Sequence[Range]], temporary: str) -> None:
        """Open what there is.

        :param base: where the old version lies.
        :param deltas: where each delta lies, the oldest first.
        :param temporary: name of a file that may be made in the working directory.
        """
        self._work, self._temporary = work, temporary
        self.base = Ranges(work, base)
        self._deltas = [Ranges(work, ranges) for ranges in deltas]
        self._layers: list[Layer] = []
        self._made: list[Path] = []

    def prepare(self) -> None:
        """Read the commands.

        :raises DeltaDamaged: when a delta is malformed.
        """
        left = MOST_COMMANDS
        for delta in self._deltas:
            try:
                layer = Layer(delta, left)
            except TooMany:
                self._settle()
                left = MOST_COMMANDS
                try:
                    layer = Layer(delta, left)
                except TooMany:
                    self._apply_alone(delta)
                    continue
            self._layers.append(layer)
            left -= len(layer.starts)

    @property
    def size(self) -> int:
        """Of the newest version in bytes, once all is prepared."""
        return self._layers[-1].size if self._layers else self.base.size

    def is_in_place(self) -> bool:
        """Whether all that is copied from the old version stays where it was: then only the rest need be written."""
        at = 0
        for number, place, length in trace(self._layers, self.base.size):
            if number < 0 and place != at:
                return False
            at += length
        return True

    def write(self, fd: int, *, in_place: bool = False, sparse: bool = False) -> None:
        """Write the newest version from its beginning on.

        :param in_place: what comes from the old version is there already.
        :param sparse: leave a hole where there are many zeros.
        """
        at = 0
        for number, place, length in trace(self._layers, self.base.size):
            if number >= 0 or not in_place:
                source = self._layers[number].delta if number >= 0 else self.base
                _copy(source, place, fd, at, length, sparse=sparse)
            at += length
        os.ftruncate(fd, at)

    def close(self) -> None:
        """Close all, and remove what was made on the way."""
        for each in (self.base, *self._deltas):
            each.close()
        for path in self._made:
            path.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Apply the deltas so far: what they make is the old version from now on."""
        if self._layers:
            with open(self._new_base(), "wb") as file:
                self.write(file.fileno())
            self._replace_base(self.size)

    def _apply_alone(self, delta: Ranges) -> None:
        """Apply a delta of which not even the commands fit into memory."""
        size = 0
        with open(self._new_base(), "wb") as file:
            for copy, place, length in commands(delta.read_at, delta.size):
                if copy and place + length > self.base.size:
                    raise DeltaDamaged("a delta copies what the version before does not have")
                _copy(self.base if copy else delta, place, file.fileno(), size, length)
                size += length
        self._replace_base(size)

    def _new_base(self) -> Path:
        path = self._work / f"{self._temporary}-{len(self._made)}"
        self._made.append(path)
        return path

    def _replace_base(self, size: int) -> None:
        self.base.close()
        self.base = Ranges(self._work, [Range(self._made[-1].name, 0, size)])
        self._layers.clear()
        for path in self._made[:-1]:
            path.unlink(missing_ok=True)


def _copy(source: Ranges, place: int, fd: int, at: int, length: int, *, sparse: bool = False) -> None:
    while length:
        data = source.read_at(place, min(length, _AT_ONCE))
        if not data:
            raise DeltaDamaged("something ends before its time")
        view = memoryview(data)
        if sparse and is_hole(data):
            at, view = at + len(data), view[:0]
        while view:
            done = os.pwrite(fd, view, at)
            at, view = at + done, view[done:]
        place, length = place + len(data), length - len(data)
