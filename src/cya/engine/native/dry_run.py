"""Counts what a backup would store, without reading a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cya.engine.native.compare import Change, What
from cya.engine.native.counters import Counters
from cya.engine.native.known import Known
from cya.engine.native.scan import Found, Unread
from cya.engine.native.state import State
from cya.engine.native.survey import Survey, key_of_change
from cya.engine.protocol import Lost, Progress, VirtualEntry, Watcher
from cya.format.key import path_of
from cya.metadata.side_files import is_ours


def counted(
    walk: Iterable[Found | Unread],
    entries: Mapping[bytes, VirtualEntry],
    state: State,
    temporary: Path,
    watch: Watcher | None,
    *,
    metadata: bool,
) -> tuple[Counters, list[Lost]]:
    """Return the counts, and what could not even be looked at.

    Files that would be read, and stored only if their content is another one, count as changed. What would be in
    ``.dupext`` is not counted.
    """
    counters = Counters()
    lost: list[Lost] = []

    def lose(key: bytes, reason: str) -> None:
        lost.append(Lost(os.fsdecode(path_of(key)), reason))
        counters.Errors += 1

    def count(change: Change) -> None:
        what, found, _, unread = change
        if unread is not None:
            lose(unread.key, unread.reason)
        if what is What.DELETED:
            counters.deleted()
        if found is not None:
            counters.seen(found.stat.st_size)
            if what is not What.SAME:
                counters.stored(found.stat.st_size, new=what is What.NEW)

    def tick() -> None:
        if watch is not None:
            watch(Progress(counters.SourceFileSize, state.bytes, "bytes", counters.SourceFiles))

    survey = Survey(temporary / "changes", entries, None, metadata=metadata, lose=lose)
    try:
        survey.make(walk, state.known(), state.ends, _any_size, count, lambda: None, tick)
        for number, change in enumerate(survey.changes(entries, state.ends, _any_size), 1):
            if not is_ours(key_of_change(change)):
                count(change)
            if not number % _EVERY:
                tick()
    finally:
        survey.close()
    return counters, lost


_EVERY = 10_000


def _any_size(known: Known, size: int) -> bool:
    return True
