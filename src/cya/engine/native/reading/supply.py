"""Files of a chain that are here already."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cya.errors import EngineError


class Here:
    """A directory with all files: the simplest :class:`cya.supply.Supply`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def names(self) -> Iterable[bytes]:
        """Return the names of all files.

        :raises EngineError: when the directory cannot be read.
        """
        try:
            return os.listdir(os.fsencode(self._directory))
        except OSError as error:
            raise EngineError(
                f"{self._directory}: cannot be read: {error.strerror}; is it there, and mounted?"
            ) from error

    def size(self, name: bytes) -> int:
        """Return the size of a file in bytes; 0 when there is none."""
        try:
            return (self._directory / os.fsdecode(name)).stat().st_size
        except OSError:
            return 0

    def order(self, names: Sequence[bytes]) -> None:
        """Do nothing."""

    def path(self, name: bytes) -> Path | None:
        """Return where a file is; None when there is none."""
        path = self._directory / os.fsdecode(name)
        return path if path.exists() else None

    now = path

    def release(self, name: bytes) -> None:
        """Do nothing: it stays."""
