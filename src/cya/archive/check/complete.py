"""What each directory should hold and does not: files, increments, whole directories. Pure."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cya import clock
from cya.archive.check.tree import Bads, Entry, Finding, Held, Look, Rules, held, path_of
from cya.catalog import gap
from cya.format.collection import collect
from cya.tree import layout
from cya.tree.chain import Increment, chains
from cya.tree.levels import Calendar, Period, upwards


@dataclass(frozen=True)
class Contents:
    """What the tree holds of each increment.

    :ivar expected: the names of all its files, by the ledger, or else by what lies anywhere; None when it cannot be
        whole by those names.
    :ivar good: by period, the names of the files that are there and not known to be bad.
    :ivar lost: increments that nothing is left of although they should be there.
    """

    expected: Mapping[Increment, frozenset[bytes] | None]
    good: Mapping[Increment, Mapping[Period, frozenset[bytes]]]
    lost: tuple[Increment, ...]

    def whole_in(self, increment: Increment, period: Period) -> bool:
        """Tell whether a period has all of an increment."""
        expected = self.expected[increment]
        return expected is not None and expected <= self.good[increment].get(period, frozenset())

    def whole(self, increment: Increment) -> bool:
        """Tell whether all of an increment can be had, from whatever periods."""
        expected = self.expected.get(increment)
        return expected is not None and expected <= frozenset().union(*self.good[increment].values())


def contents(look: Look, rules: Rules, calendar: Calendar, bad: Bads) -> Contents:
    """Sum up what is there. ``bad`` are the files that are known to be damaged, and why."""
    everything = held(look, rules)
    expected: dict[Increment, frozenset[bytes] | None] = {}
    good: dict[Increment, dict[Period, frozenset[bytes]]] = {}
    for increment, files in everything.items():
        expected[increment] = expected_names(look, increment, files)
        good[increment] = {
            period: frozenset(
                n for n, places in files.names.items() if period in places and sound(n, places[period], bad)
            )
            for period in files.periods
        }
        for period in [p for p in good[increment] if not look.planned.get(p, frozenset()).isdisjoint(files.names)]:
            names = expected[increment]
            if names is None or not names <= good[increment][period]:
                del good[increment][period]  # it is just being linked
        if not good[increment]:
            del good[increment]
    return Contents(expected, good, tuple(_lost(look, everything, calendar)))


def expected_names(look: Look, increment: Increment, files: Held) -> frozenset[bytes] | None:
    """Return the names of all files of an increment; None when they are not known and those there are not enough."""
    entry = look.ledger.get(increment)
    if entry is not None and not isinstance(entry, str):
        return frozenset(entry)
    return None if gap(collect(files.names).sets[0]) else frozenset(files.names)


def sound(name: bytes, entry: Entry, bad: Bads) -> bool:
    """Tell whether a file can be what it should be: plain, not empty, not known to be bad."""
    return stat.S_ISREG(entry.mode) and entry.size > 0 and (name, entry.inode) not in bad


def missing(look: Look, rules: Rules) -> Iterator[Finding]:
    """Yield the files that are not there, are no files, or are too many, each directory for itself."""
    for increment, files in held(look, rules).items():
        entry = look.ledger.get(increment)
        listed = frozenset(entry) if entry is not None and not isinstance(entry, str) else None
        for period in sorted(files.periods):
            here = {name: places[period] for name, places in files.names.items() if period in places}
            for name in sorted((listed or frozenset(files.names)) - here.keys()):
                if name not in look.planned.get(period, ()):
                    yield Finding("missing", path_of(period, name), "is missing")
            if listed is None and (lacking := gap(collect(files.names).sets[0])) and period not in look.planned:
                told = f"{lacking} of the backup of {clock.local(increment.end)} is missing, here and everywhere"
                yield Finding("missing", path_of(period), told)
            for name, found in sorted(here.items()):
                path = path_of(period, name)
                if not stat.S_ISREG(found.mode):
                    yield Finding("not-a-file", path, f"is {_kind(found)} in place of a file")
                elif found.size == 0:
                    yield Finding("empty", path, "is empty: 0 bytes")
                if listed is not None and name not in listed:
                    yield Finding("foreign", path, "is no file of this backup by the ledger; move it away")


def gaps(look: Look, rules: Rules, contents: Contents) -> Iterator[Finding]:
    """Yield where chains have a gap, directories that are missing as a whole, and increments nothing is left of."""
    everywhere: dict[Period, set[Increment]] = {}
    for increment, periods in contents.good.items():
        for period in periods:
            everywhere.setdefault(period, set()).add(increment)
    for period, known in everywhere.items():
        ends = {increment.end for increment in known}
        for orphan in chains(known).orphans:
            if period not in look.planned and orphan.start is not None:
                message = f"the backup of {clock.local(orphan.end)} stands on that of {clock.local(orphan.start)}, "
                message += "which another one also goes on from" if orphan.start in ends else "which is not here"
                yield Finding("gap", path_of(period), message)
    filled = {period for period, place in look.places.items() if place.files}
    for period in sorted({above for each in filled for above in upwards(each)} - filled):
        if period not in look.planned:
            yield Finding("missing", path_of(period), "is missing or empty, while periods within it hold backups")
    for increment in contents.lost:
        yield Finding(
            "lost",
            f"{layout.STATE}/{layout.LEDGER}",
            f"the backup of {clock.local(increment.end)} was committed, and nothing of it is left in the tree",
        )
    gone = look.ledger.keys() - contents.good.keys() - look.pending - set(contents.lost)
    if gone:
        told = f"{len(gone)} increments lie nowhere any more: their periods have been deleted"
        yield Finding("pruned", f"{layout.STATE}/{layout.LEDGER}", told, damage=False)


def _lost(look: Look, everything: Mapping[Increment, Held], calendar: Calendar) -> Iterator[Increment]:
    """Increments of the ledger that are nowhere, although the period that they were committed to is there.

    The ledger does not tell that period: an upload that came late lies where it was served for. So only what would go
    on from something that is there, where nothing else does, is taken for lost; the rest has been deleted with its
    period.
    """
    starts: dict[Period, set[int | None]] = {}
    ends: dict[Period, set[int]] = {}
    for increment, files in everything.items():
        for period in files.periods:
            starts.setdefault(period, set()).add(increment.start)
            ends.setdefault(period, set()).add(increment.end)
    for increment in sorted(look.ledger, key=lambda i: i.end):
        leaf = calendar.leaf(increment.end)
        if increment in everything or increment in look.pending or leaf not in ends:
            continue
        if increment.start is None or (increment.start in ends[leaf] and increment.start not in starts[leaf]):
            yield increment
            ends[leaf].add(increment.end)


def _kind(entry: Entry) -> str:
    if stat.S_ISLNK(entry.mode):
        return "a symbolic link"
    return "a directory" if stat.S_ISDIR(entry.mode) else "a device, pipe or socket"
