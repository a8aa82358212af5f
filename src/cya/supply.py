"""Between an engine and a transport: what brings files here while others are worked with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import EllipsisType
from typing import Protocol


class Supply(Protocol):
    """Brings files of a chain here."""

    def names(self) -> Iterable[bytes]:
        """Return the names of all files that there are."""

    def size(self, name: bytes) -> int:
        """Return the size of a file in bytes; 0 when there is none."""

    def order(self, names: Sequence[bytes]) -> None:
        """Say which files will be needed, in this order."""

    def path(self, name: bytes) -> Path | EllipsisType | None:
        """Return where a file is; None when there is none, ``...`` when it is still on its way.

        :raises ArchiveError: when it cannot be brought here.
        """

    def now(self, name: bytes) -> Path | None:
        """Return where a file is, and wait for it if need be; None when there is none.

        :raises ArchiveError: when it cannot be brought here.
        """

    def release(self, name: bytes) -> None:
        """Say that a file is not needed any more."""
