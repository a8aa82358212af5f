"""What a worker says of a task that is done."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

DIRECTORY, MADE = b"D", b"M"
"""The first byte of records of directories: with its attributes; or only that it was made."""


_LONGEST = 4096


def shortened(key: bytes) -> bytes:
    """Return a key that what is lost can be named by: no system takes longer paths, and there may be many of them."""
    return key if len(key) <= _LONGEST else key[:_LONGEST] + "…".encode()


class Ends(msgspec.Struct, frozen=True, array_like=True):
    """The first and the last entry of a volume.

    :ivar first, last: key and number of the piece.
    :ivar whole: the last entry is a piece that is shorter than others: none follows it.
    """

    first: tuple[bytes, int]
    last: tuple[bytes, int]
    whole: bool


@dataclass
class Outcome:
    """What was done.

    :ivar entries: seen that count.
    :ivar files: regular files that have their place.
    :ivar size: bytes in these.
    :ivar kept: things that were at the destination and stay.
    :ivar lost: keys, and why they are not restored as they should be.
    :ivar runs: names of the runs that were written into the working directory.
    :ivar seen: numbers of the wanted keys of which there was something that counts.
    :ivar ends: of a volume that was looked at.
    """

    entries: int = 0
    files: int = 0
    size: int = 0
    kept: int = 0
    lost: list[tuple[bytes, str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    ends: Ends | None = None
