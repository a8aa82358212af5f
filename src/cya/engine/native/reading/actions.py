"""What is to be done with each entry, as the plan says: which version of a path counts, and what it is made of."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

from cya.engine.native.reading import runs


class Action(IntEnum):
    """What is to be done with an entry."""

    SKIP = 0
    """A newer one counts."""
    FINAL = 1
    """It is what the path was."""
    BASE = 2
    """Newer deltas make of it what the path was."""
    DELTA = 3


class Actions:
    """The actions of one increment; those of keys that are not listed are the same for all."""

    def __init__(self, path: Path | None, otherwise: Action) -> None:
        self._listed = runs.read(path)
        self._otherwise = otherwise
        self._next = next(self._listed, None)

    def of(self, key: bytes) -> Action:
        """Return what is to be done; keys have to be asked for in their order."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._listed, None)
        if self._next is not None and self._next[0] == key:
            return Action(self._next[1][0])
        return self._otherwise
