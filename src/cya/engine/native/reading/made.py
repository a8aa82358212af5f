"""Takes note of directories that have not got their attributes yet, in whatever order they were come upon."""

from __future__ import annotations

from pathlib import Path

from cya.engine.native.reading.outcome import MADE
from cya.engine.native.reading.runs import RunWriter


class Made:
    """What :attr:`cya.engine.native.reading.way.Way.made` is told.

    Nearly all come in the order of their keys, and go into a run as they come. Those that do not are few: what lies
    above a place that is not the archive's own, and directories of very deep trees once more.
    """

    def __init__(self, work: Path, label: str) -> None:
        """Write nothing yet.

        :param label: a word for names in the working directory.
        """
        self._run = RunWriter(work / f"made-{label}")
        self._last = b""
        self._late: set[bytes] = set()
        self._late_run = RunWriter(work / f"made-late-{label}")

    def add(self, key: bytes) -> None:
        """Take note of one; it may have been noted already."""
        if key > self._last:
            self._run.add(key, MADE)
            self._last = key
        elif key != self._last:
            self._late.add(key)

    def close(self) -> list[Path]:
        """Return runs of all of them."""
        for key in sorted(self._late):
            self._late_run.add(key, MADE)
        return [run for run in (self._run.close(), self._late_run.close()) if run is not None]
