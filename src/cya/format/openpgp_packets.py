"""The packets of an OpenPGP message, read as a stream: RFC 4880, 4.2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class MessageDamaged(ValueError):
    """A message that is cut off, malformed, or has been changed."""


Piece = bytes | memoryview


class Input:
    """Pieces of bytes, taken in other pieces."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces = iter(pieces)
        self._here = memoryview(b"")

    def some(self, most: int) -> memoryview:
        """Take up to so many bytes, at least one; none at the end."""
        while not self._here:
            piece = next(self._pieces, None)
            if piece is None:
                return memoryview(b"")
            self._here = memoryview(piece)
        taken, self._here = self._here[:most], self._here[most:]
        return taken

    def take(self, size: int) -> bytes:
        """Take so many bytes; fewer only at the end."""
        found = bytes(self.some(size))
        while len(found) < size and (more := self.some(size - len(found))):
            found += more
        return found

    def rest(self) -> Iterator[Piece]:
        """Take all that is left."""
        if self._here:
            yield self._here
            self._here = memoryview(b"")
        yield from self._pieces


class Packet(NamedTuple):
    """The head of a packet.

    :ivar length: in bytes of the body, or of its first part; None: to the end of the input.
    :ivar partial: more parts follow.
    """

    tag: int
    length: int | None
    partial: bool

    def body(self, source: Input) -> Iterator[Piece]:
        """Yield the body.

        :raises MessageDamaged: when it is cut off.
        """
        if self.length is None:
            yield from source.rest()
            return
        left, partial = self.length, self.partial
        while True:
            while left:
                piece = source.some(left)
                if not piece:
                    raise MessageDamaged("cut off")
                left -= len(piece)
                yield piece
            if not partial:
                return
            left, partial = _length(source)


def packet(source: Input) -> Packet | None:
    """Read the head of a packet; None at the end.

    :raises MessageDamaged: when there is none.
    """
    first = source.take(1)
    if not first:
        return None
    head = first[0]
    if not head & 0x80:
        raise MessageDamaged("no OpenPGP message")
    if head & 0x40:
        return Packet(head & 0x3F, *_length(source))
    kind = head & 3
    if kind == 3:
        return Packet(head >> 2 & 0xF, None, False)
    return Packet(head >> 2 & 0xF, int.from_bytes(_exactly(source, 1 << kind), "big"), False)


def gathered(pieces: Iterable[Piece], size: int) -> Iterator[Piece]:
    """Join small pieces until they have at least so many bytes, or a larger one comes, which is not copied."""
    waiting: list[Piece] = []
    there = 0
    for piece in pieces:
        if len(piece) >= size:
            if there:
                yield b"".join(waiting)
                waiting.clear()
                there = 0
            yield piece
            continue
        waiting.append(piece)
        there += len(piece)
        if there >= size:
            yield b"".join(waiting)
            waiting.clear()
            there = 0
    if there:
        yield b"".join(waiting)


def _length(source: Input) -> tuple[int, bool]:
    first = _exactly(source, 1)[0]
    if first < 192:
        return first, False
    if first < 224:
        return ((first - 192) << 8) + _exactly(source, 1)[0] + 192, False
    if first < 255:
        return 1 << (first & 0x1F), True
    return int.from_bytes(_exactly(source, 4), "big"), False


def _exactly(source: Input, size: int) -> bytes:
    found = source.take(size)
    if len(found) < size:
        raise MessageDamaged("cut off")
    return found
