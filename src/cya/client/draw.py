"""What of a backup a drill restores: some files, and a whole directory, drawn by lot."""

from __future__ import annotations

import heapq
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cya.client.sample import rank
from cya.engine.native.reading.recorded import Recorded


class Rules(NamedTuple):
    """How it is drawn.

    :ivar files: how many files.
    :ivar most: bytes that all may have together; half of them are the files', and the directory's what these leave.
    :ivar directory: the key of the one that is asked for; None: any.
    :ivar left_out: says of what is recorded that it could not be compared when it is restored.
    """

    files: int
    most: int
    seed: int
    directory: bytes | None
    left_out: Callable[[Recorded], bool]


class Lot(NamedTuple):
    """What was drawn.

    :ivar files: keys, in order.
    :ivar directory: key; None where there is none that is small enough.
    :ivar bytes: all have at most.
    :ivar paths: how many they are, with all that lies in the directory.
    :ivar too_large: number of files of the backup that no drill draws under these rules.
    """

    files: tuple[bytes, ...]
    directory: bytes | None
    bytes: int
    paths: int
    too_large: int


@dataclass(slots=True)
class _Directory:
    key: bytes
    bytes: int = 0
    paths: int = 0
    whole: bool = True


class _Best(NamedTuple):
    """Compares: the least is drawn. A directory with something to restore goes first."""

    trivial: bool
    drawn: int
    key: bytes
    bytes: int
    paths: int


def draw(records: Iterable[Recorded], time: int, rules: Rules) -> Lot:
    """Draw from what is recorded, in the order of keys; of all that only the way down and the winners are held.

    :param time: of the backup; in each other files are drawn.
    """
    most_files = rules.most // 2
    files: list[tuple[int, bytes, int]] = []
    too_large = 0
    directories = _Directories(time, rules)
    for record in records:
        left_out = rules.left_out(record)
        directories.enter(record, left_out)
        if not stat.S_ISREG(record.mode) or left_out:
            continue
        if record.largest > most_files:
            too_large += 1
            continue
        entry = (-rank(record.key, rules.seed, time), record.key, record.largest)
        if len(files) < rules.files:
            heapq.heappush(files, entry)
        elif files:
            heapq.heappushpop(files, entry)
    chosen, left = [], most_files
    for _, key, size in sorted(files, reverse=True):
        if size <= left:
            chosen.append(key)
            left -= size
    best = directories.best(rules.most - most_files + left)
    used = most_files - left + (best.bytes if best else 0)
    paths = len(chosen) + (best.paths + 1 if best else 0)
    return Lot(tuple(sorted(chosen)), best.key if best else None, used, paths, too_large)


class _Directories:
    """Sums up what lies in each, and keeps the one that is drawn."""

    def __init__(self, time: int, rules: Rules) -> None:
        self._time, self._rules = time, rules
        self._way: list[_Directory] = []
        self._best: _Best | None = None

    def enter(self, record: Recorded, left_out: bool) -> None:
        """Take in one path."""
        self._leave(record.key)
        if self._way:
            self._way[-1].paths += 1
            self._way[-1].bytes += record.largest
            self._way[-1].whole &= not left_out
        if stat.S_ISDIR(record.mode):
            self._way.append(_Directory(record.key, whole=not left_out))

    def best(self, most: int) -> _Best | None:
        """Return the one that is drawn, when everything is taken in.

        :param most: bytes that one that is asked for may have; any other has at most half of all.
        """
        while self._way:
            self._close()
        return self._best if self._best is not None and self._best.bytes <= most else None

    def _leave(self, key: bytes) -> None:
        while self._way and self._way[-1].key and not key.startswith(self._way[-1].key + b"\0"):
            self._close()

    def _close(self) -> None:
        done = self._way.pop()
        if self._way:
            self._way[-1].paths += done.paths
            self._way[-1].bytes += done.bytes
            self._way[-1].whole &= done.whole
        wanted = self._rules.directory
        if not done.whole or (done.key != wanted if wanted is not None else done.bytes > self._rules.most // 2):
            return
        drawn = rank(done.key, self._rules.seed, self._time)
        found = _Best(done.paths < 2, drawn, done.key, done.bytes, done.paths)
        if self._best is None or found < self._best:
            self._best = found
