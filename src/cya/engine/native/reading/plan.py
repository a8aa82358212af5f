"""Decides which version of each path counts, from what all increments but the full say of it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec

from cya.engine.native.reading import runs
from cya.engine.native.reading.actions import Action, Actions
from cya.engine.native.reading.runs import RunWriter
from cya.engine.native.reading.scan_volume import Event

_EXPECTED = "expected"
_LOST = "lost-plan"


class Plan:
    """What is to be done with each entry of each increment.

    :ivar expected: run of the paths that deltas are applied to: numbers of the increments that have parts of it.
    :ivar lost: run of the paths that cannot be restored, since something of them is missing.
    """

    def __init__(self, work: Path, increments: int) -> None:
        """Plan for a chain of so many increments that has nothing but its full."""
        self._work = work
        self._actions: list[Path | None] = [None] * increments
        self.expected: Path | None = None
        self.lost: Path | None = None

    def make(self, events: Mapping[int, Sequence[Path]]) -> None:
        """Plan.

        :param events: runs of events of each increment but the full.
        """
        writers = [RunWriter(self._work / f"actions-{number}") for number in range(len(self._actions))]
        expected, lost = RunWriter(self._work / _EXPECTED), RunWriter(self._work / _LOST)
        for key, newest_first in _by_key(events):
            found = _decided(newest_first)
            if found is None:
                lost.add(key, b"")
                writers[0].add(key, bytes([Action.SKIP]))
                continue
            for number, action in found:
                writers[number].add(key, bytes([action]))
            parts = [number for number, action in found if action in (Action.BASE, Action.DELTA)]
            if parts:
                expected.add(key, msgspec.msgpack.encode(parts))
        self._actions = [writer.close() for writer in writers]
        self.expected, self.lost = expected.close(), lost.close()

    def actions(self, increment: int) -> Path | None:
        """Return the run of actions of an increment."""
        return self._actions[increment]


def actions_of(run: Path | None, increment: int) -> Actions:
    """Return an increment's actions: what is not listed of the full is final, of others it does not count."""
    return Actions(run, Action.SKIP if increment else Action.FINAL)


def _by_key(events: Mapping[int, Sequence[Path]]) -> Iterator[tuple[bytes, list[tuple[int, Event]]]]:
    """Yield each path and what increments say of it, the newest first."""
    streams = [_numbered(number, runs.merged(paths)) for number, paths in events.items()]
    for key, found in groupby(heapq.merge(*streams), key=itemgetter(0)):
        seen: dict[int, Event] = {}
        for _, number, event in found:
            # Of a file with pieces in two volumes one may be missing; that counts more.
            seen[-number] = max(event, seen.get(-number, event))
        yield key, list(seen.items())


def _numbered(number: int, records: Iterable[runs.Record]) -> Iterator[tuple[bytes, int, Event]]:
    for key, value in records:
        yield key, -number, Event(value[0])


def _decided(newest_first: Sequence[tuple[int, Event]]) -> list[tuple[int, Action]] | None:
    """Return the actions for a path by increment, the newest first; None when something of it is missing."""
    found: list[tuple[int, Action]] = []
    for number, event in newest_first:
        if event is Event.LOST:
            return None
        if event is Event.CHANGED:
            found.append((number, Action.DELTA))
            continue
        if event is Event.WHOLE:
            found.append((number, Action.BASE if found else Action.FINAL))
        elif found:
            return None  # what was deleted cannot have been changed after: then the chain is not one
        return [*found, (0, Action.SKIP)] if number else found
    return [*found, (0, Action.BASE)] if found[-1][0] else None
