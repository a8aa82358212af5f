"""Counts what a backup would store, without reading a file."""

from __future__ import annotations

import os
from collections.abc import Iterable

from cya.engine.native.compare import What, changes
from cya.engine.native.counters import Counters
from cya.engine.native.known import Known
from cya.engine.native.scan import Found, Unread
from cya.engine.native.state import State
from cya.engine.protocol import Lost, Progress, Watcher
from cya.format.key import path_of

_EVERY = 10_000


def counted(walk: Iterable[Found | Unread], state: State, watch: Watcher | None) -> tuple[Counters, list[Lost]]:
    """Return the counts, and what could not even be looked at.

    Files that would be read, and stored only if their content is another one, count as changed.
    """
    counters, lost = Counters(), []
    for what, found, _, unread in changes(walk, state.known(), state.ends, _any_size):
        if unread is not None:
            lost.append(Lost(os.fsdecode(path_of(unread.key)), unread.reason))
            counters.Errors += 1
        if what is What.DELETED:
            counters.deleted()
        if found is None:
            continue
        counters.seen(found.stat.st_size)
        if what is not What.SAME:
            counters.stored(found.stat.st_size, new=what is What.NEW)
        if watch is not None and counters.SourceFiles % _EVERY == 0:
            watch(Progress(counters.SourceFileSize, state.bytes, "bytes", counters.SourceFiles))
    return counters, lost


def _any_size(known: Known, size: int) -> bool:
    return True
