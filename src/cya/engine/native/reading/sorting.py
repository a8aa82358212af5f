"""Sorting of more records than fit into memory."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

from cya.engine.native.reading import runs
from cya.engine.native.reading.runs import Record, RunWriter

MOST_HELD = 1 << 25
"""Bytes of records, counted without what Python needs for each, from which on they go into a file."""
_OVERHEAD = 150


class Sorter:
    """Takes records in any order, and gives them by key; those of the same key in the order in which they came."""

    def __init__(self, work: Path) -> None:
        """Take note of a directory of this run's own, in which nobody else makes names that begin with ``sorted-``."""
        self._work = work
        self._held: list[Record] = []
        self._size = 0
        self._runs: list[Path] = []

    def add(self, key: bytes, value: bytes) -> None:
        """Add a record."""
        self._held.append((key, value))
        self._size += len(key) + len(value) + _OVERHEAD
        if self._size > MOST_HELD:
            self._write()

    def sorted(self) -> Iterator[Record]:
        """Yield all records; nothing can be added any more."""
        self._held.sort(key=itemgetter(0))
        return heapq.merge(*map(runs.read, self._runs), self._held, key=itemgetter(0))

    def _write(self) -> None:
        writer = RunWriter(self._work / f"sorted-{len(self._runs)}")
        self._held.sort(key=itemgetter(0))
        for key, value in self._held:
            writer.add(key, value)
        if made := writer.close():
            self._runs.append(made)
        self._held = []
        self._size = 0
