"""A refused upload is kept for an administrator to look at, with the reason, and the client goes on."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from cya.archive.directories import exists, made_below, make, opened, remove
from cya.archive.root import Root
from cya.archive.take import seize
from cya.durable import write_file
from cya.tree import layout

REASON = "REASON"
_SLOT = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]+)?", re.ASCII)
KEPT = 10
"""So many refused uploads of a root are kept, the newest: a client could fill the disk with them."""


def quarantine(root: Root, name: str, reason: str, now: int) -> str:
    """Move ``NAME`` in the intake to ``quarantine/TIME/files`` and write the reason beside it; return TIME."""
    stamp = _stamp(now)
    with made_below((layout.QUARANTINE,), root.intake, 0o700) as area:
        slots = itertools.chain([stamp], (f"{stamp}-{n}" for n in itertools.count(2)))
        slot = next(s for s in slots if not _taken(s, area))
        make(slot, area, 0o700)
        with opened(slot, area) as place:
            write_file(REASON, f"{reason}\n".encode(), dir_fd=place)
            os.rename(name, layout.FILES, src_dir_fd=root.intake, dst_dir_fd=place)
            with suppress(NotADirectoryError), opened(layout.FILES, place) as files:
                seize(files)  # not every way that leads here has done that: a process may still stand in it
            os.fsync(place)
        for old in [other for other in slots_of(os.listdir(area)) if other != slot][: -KEPT + 1]:
            remove(old, area)
    os.fsync(root.intake)
    remove(layout.DEFERRED, root.state)
    return slot


def expire(root: Root, now: int) -> list[str]:
    """Remove refused uploads that are older than the root's settings say; return their slots."""
    oldest = _stamp(now - root.config.keep_refused * 86400)
    if not exists(layout.QUARANTINE, root.intake):
        return []
    with opened(layout.QUARANTINE, root.intake) as area:
        expired = [slot for slot in slots_of(os.listdir(area)) if slot < oldest]
        for slot in expired:
            remove(slot, area)
    return expired


def _stamp(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")


def slots_of(names: Iterable[str]) -> list[str]:
    """Return the slots ``TIME`` and ``TIME-N`` among some names, the oldest first."""
    return sorted(filter(_SLOT.fullmatch, names), key=lambda slot: (slot.partition("-")[0], len(slot), slot))


def _taken(slot: str, area: int) -> bool:
    """Tell whether a slot is used. One without files is of a run that was killed here, and is used again."""
    if not exists(slot, area):
        return False
    with opened(slot, area) as place:
        return exists(layout.FILES, place)
