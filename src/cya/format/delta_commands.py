"""Reads deltas: the commands by which a new file is made out of an old one.

A command is one byte and its numbers, big endian: ``01`` to ``40`` are that many literal bytes; ``41`` to ``44`` a
length of 1, 2, 4 or 8 bytes and then literal bytes; ``45`` to ``54`` a place and a length of 1, 2, 4 or 8 bytes each,
to be copied from the old file; ``00`` is the end. Source: librsync's ``prototab.c``, and what ``rdiff`` 2.3.2 writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from cya.format.delta import MAGIC

_END, _LONGEST_IMMEDIATE, _LITERALS, _COPIES, _RESERVED = 0x00, 0x40, 0x41, 0x45, 0x55
_MOST_NUMBERS = 16
_AHEAD = 1 << 16
_LARGEST = 1 << 62


class DeltaDamaged(ValueError):
    """A delta that is cut off or malformed."""


class Command(NamedTuple):
    """Bytes of the new file.

    :ivar copy: whether they come from the old file, or stand in the delta.
    :ivar place: where they begin there.
    :ivar length: in bytes, at least 1.
    """

    copy: bool
    place: int
    length: int


def commands(read_at: Callable[[int, int], bytes], size: int) -> Iterator[Command]:
    """Yield the commands of a delta of ``size`` bytes.

    :param read_at: returns so many bytes from a place on, fewer only at the end.
    :raises DeltaDamaged: when it is malformed, or does not end with its end.
    """
    if read_at(0, len(MAGIC)) != MAGIC:
        raise DeltaDamaged("not a delta")
    at = len(MAGIC)
    ahead, start = b"", at
    while True:
        inner = at - start
        if not 0 <= inner <= len(ahead) - 1 - _MOST_NUMBERS:
            ahead, start, inner = read_at(at, _AHEAD), at, 0
            if not ahead:
                raise DeltaDamaged("a delta without an end")
        code = ahead[inner]
        if code == _END:
            if at + 1 != size:
                raise DeltaDamaged("something comes after a delta's end")
            return
        if code <= _LONGEST_IMMEDIATE:
            found = Command(False, at + 1, code)
            at += 1 + code
        elif code < _COPIES:
            wide = 1 << (code - _LITERALS)
            length = _number(ahead, inner + 1, wide)
            found = Command(False, at + 1 + wide, length)
            at += 1 + wide + length
        elif code < _RESERVED:
            first, second = divmod(code - _COPIES, 4)
            wide, wider = 1 << first, 1 << second
            place = _number(ahead, inner + 1, wide)
            found = Command(True, place, _number(ahead, inner + 1 + wide, wider))
            at += 1 + wide + wider
        else:
            raise DeltaDamaged(f"a command {code:#04x}")
        if at > size or not 0 < found.length < _LARGEST or found.place >= _LARGEST:
            raise DeltaDamaged("a command that cannot be")
        yield found


def _number(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise DeltaDamaged("cut off within a command")
    return int.from_bytes(data[at : at + size], "big")
