"""Diff: what was added, removed and changed from one backup to another, on whatever branches of a tree they lie."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from cya.client.chosen import Chosen
from cya.client.signatures import Source, Way, judged
from cya.engine.native.reading.histories import History, histories
from cya.engine.native.reading.recorded import Recorded
from cya.errors import DecryptionFailed
from cya.tree.chain import Increment

_WITH_TIME = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO)

What = Literal["added", "removed", "type", "content", "attributes"]


class Difference(NamedTuple):
    """One path that is not the same in both.

    :ivar attributes: which of ``mode``, ``owner``, ``mtime`` differ.
    :ivar certain: False where the contents may still be the same: the signatures have blocks of different lengths, as
        when another program stored the file anew, and the sizes can agree.
    """

    what: What
    old: Recorded | None
    new: Recorded | None
    attributes: tuple[str, ...] = ()
    certain: bool = True

    @property
    def either(self) -> Recorded:
        """The path as it is, or as it was."""
        record = self.new or self.old
        assert record is not None  # noqa: S101 one of them is there
        return record


def differences(source: Source, old: Way, new: Way, chosen: Chosen) -> Iterator[Difference]:
    """Yield what differs, in order; what two backups have in common is read once.

    :raises IntegrityError: when a sigtar is damaged, which may be known only at the end.
    :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
    """
    places = dict(zip((*old.increments, *new.increments), (*old.sigtars, *new.sigtars), strict=True))
    every = sorted(places, key=lambda increment: (increment.end, increment.start or 0))
    in_old, in_new = ({every.index(increment) for increment in each.increments} for each in (old, new))
    for history in _histories(source, {increment: places[increment] for increment in every}):
        was = next((record for record in history if record.number in in_old), None)
        now = next((record for record in history if record.number in in_new), None)
        was = was if was is not None and was.mode else None
        now = now if now is not None and now.mode else None
        if (was is not None or now is not None) and chosen.covers(history[0].key):
            found = compared(was, now)
            if found is not None:
                yield found


def _histories(source: Source, places: dict[Increment, Path]) -> Iterator[History]:
    try:
        yield from histories([*places.values()], source.opener, source.work)
    except DecryptionFailed as error:
        raise judged(source, places, error) from error


def compared(old: Recorded | None, new: Recorded | None) -> Difference | None:
    """Return what differs between two records of a path, None standing for its absence."""
    if old is None or new is None:
        return Difference("added" if old is None else "removed", old, new) if old is not new else None
    if old.is_like(new):
        return None
    if stat.S_IFMT(old.mode) != stat.S_IFMT(new.mode):
        return Difference("type", old, new, _attributes(old, new))
    if (old.digest, old.link, old.device) != (new.digest, new.link, new.device):
        can_agree = old.smallest <= new.largest and new.smallest <= old.largest
        return Difference("content", old, new, _attributes(old, new), not (old.block != new.block and can_agree))
    differing = _attributes(old, new)
    return Difference("attributes", old, new, differing) if differing else None


def _attributes(old: Recorded, new: Recorded) -> tuple[str, ...]:
    kind = stat.S_IFMT(new.mode)
    found = []
    if stat.S_IMODE(old.mode) != stat.S_IMODE(new.mode) and kind != stat.S_IFLNK:
        found.append("mode")
    if (old.uid, old.gid) != (new.uid, new.gid):
        found.append("owner")
    if kind in _WITH_TIME and stat.S_IFMT(old.mode) in _WITH_TIME and max(0, old.mtime) != max(0, new.mtime):
        found.append("mtime")
    return tuple(found)
