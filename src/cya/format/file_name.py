"""What one of Duplicity's file names says, as a value; :mod:`cya.format.names` reads and writes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a file holds; the value is its word in a name."""

    VOLUME = b"difftar"
    SIGTAR = b"sigtar"
    MANIFEST = b"manifest"
    STATISTICS = b"jsonstat"


class Style(Enum):
    """How a name without local times is written."""

    CURRENT = "current"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class OldStyle:
    """The style of ``--old-filenames``.

    :ivar offsets: minutes ahead of UTC, one for each time in the name.
    :ivar separator: one byte, between hours, minutes and seconds.
    """

    offsets: tuple[int, ...]
    separator: bytes = b":"


@dataclass(frozen=True, slots=True)
class FileName:
    """What a file name says.

    :ivar start: where the increment starts, seconds since the epoch; None for a full.
    :ivar end: where it ends, seconds since the epoch.
    :ivar volume: 1 or higher for a volume, None for everything else.
    :ivar suffix: ``b""``, ``b".gz"``, ``b".gpg"`` or ``b".p7m"`` (duplicity 3 with gpgsm), whatever the style.
    :ivar partial: the run that wrote it had not finished.
    """

    kind: Kind
    start: int | None
    end: int
    volume: int | None = None
    suffix: bytes = b""
    partial: bool = False
    style: Style | OldStyle = Style.CURRENT

    @property
    def increment(self) -> tuple[int | None, int]:
        """Start and end: the same for all files of an increment."""
        return self.start, self.end

    @property
    def is_full(self) -> bool:
        """Whether the increment is a full."""
        return self.start is None
