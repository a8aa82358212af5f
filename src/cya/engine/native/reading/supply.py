"""Where the files of a chain come from: from here, or from somewhere else and on their way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import EllipsisType
from typing import Protocol


class Supply(Protocol):
    """Brings files here."""

    def order(self, names: Sequence[bytes]) -> None:
        """Say which files will be needed, in this order."""

    def path(self, name: bytes) -> Path | EllipsisType | None:
        """Return where a file is; None when there is none, ``...`` when it is still on its way."""

    def now(self, name: bytes) -> Path | None:
        """Return where a file is, and wait for it if need be; None when there is none."""

    def release(self, name: bytes) -> None:
        """Say that a file is not needed any more."""


class Here:
    """A directory with all files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def order(self, names: Sequence[bytes]) -> None:
        """Do nothing."""

    def path(self, name: bytes) -> Path | None:
        """Return where a file is; None when there is none."""
        path = self._directory / name.decode()
        return path if path.exists() else None

    now = path

    def release(self, name: bytes) -> None:
        """Do nothing: it stays."""
