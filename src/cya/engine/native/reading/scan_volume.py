"""Looks which paths a volume of an increment holds, and what happens to them; the files themselves come later."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from cya.engine.native.reading.outcome import Ends, Outcome
from cya.engine.native.reading.runs import RunWriter
from cya.engine.native.reading.volume import Entries
from cya.format.difftar import What

_BLOCK = 512
"""Bytes: all pieces of a file but the last one are some of these."""


class Event(IntEnum):
    """What an increment says of a path."""

    WHOLE = 1
    """It is there as a whole: older increments do not matter."""
    CHANGED = 2
    """It is there as a change of what older increments hold."""
    DELETED = 3
    LOST = 4
    """It is a file that should be there, and the volume with it is missing or damaged."""


_EVENTS = {What.SNAPSHOT: Event.WHOLE, What.DIFF: Event.CHANGED, What.DELETED: Event.DELETED}


def scan(entries: Entries, work: Path, label: str, tick: Callable[[], None]) -> Outcome:
    """Write a run of the events of one volume.

    :raises FileDamaged, DecryptionFailed: see :class:`Entries`.
    """
    writer = RunWriter(work / f"events-{label}")
    outcome = Outcome()
    first, last, length, size = None, None, 0, 0
    for found, member in entries:
        if last is None or found.key != last[0]:
            writer.add(found.key, bytes([_EVENTS[found.what]]))
            outcome.entries += 1
            length = member.size
        last, size = (found.key, found.piece), member.size
        first = first or last
        tick()
    if first is not None and last is not None:
        outcome.ends = Ends(first, last, size < length or size % _BLOCK > 0)
    if (path := writer.close()) is not None:
        outcome.runs.append(path.name)
    return outcome
