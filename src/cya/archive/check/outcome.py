"""What damage means in terms of backups: which cannot be restored, and which directories are not complete. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cya import clock
from cya.archive.check.complete import Contents
from cya.archive.check.tree import path_of
from cya.tree.chain import Increment, chains
from cya.tree.levels import Period


@dataclass(frozen=True)
class Outcome:
    """Times of backups in seconds since the epoch, oldest first.

    :ivar backups: all that there are or should be.
    :ivar unrestorable: those that cannot be restored, wherever in the tree their files are taken from.
    :ivar incomplete: by directory, those that it lists and cannot restore on its own.
    """

    backups: tuple[int, ...]
    unrestorable: tuple[int, ...]
    incomplete: dict[Period, tuple[int, ...]]


def outcome(contents: Contents) -> Outcome:
    """Follow the chains: a backup needs its own increment whole, and the backup that it stands on."""
    everything = sorted({*contents.good, *contents.lost}, key=lambda i: (i.end, i.start is not None))
    restorable: set[int] = set()
    for increment in everything:
        if (increment.start is None or increment.start in restorable) and contents.whole(increment):
            restorable.add(increment.end)
    ends = tuple(sorted({increment.end for increment in everything}))
    directories: dict[Period, list[Increment]] = {}
    for increment, periods in contents.good.items():
        for period in periods:
            directories.setdefault(period, []).append(increment)
    incomplete = {}
    for period in sorted(directories, key=lambda p: (len(p), p)):
        known = directories[period]
        found = chains(increment for increment in known if contents.whole_in(increment, period))
        restored = {increment for chain in found.chains for increment in chain.increments}
        if lacking := tuple(sorted(increment.end for increment in known if increment not in restored)):
            incomplete[period] = lacking
    return Outcome(ends, tuple(end for end in ends if end not in restorable), incomplete)


def consequences(found: Outcome) -> list[str]:
    """Say it for people: first what is lost, then which directories cannot be relied on alone."""
    show = _shower(found.backups)
    lines = []
    if found.unrestorable:
        runs = _runs(found.unrestorable, found.backups)
        after = found.backups[found.backups.index(runs[-1][-1]) + 1 :]
        told = f"backups {', '.join(_span(run, show) for run in runs)} cannot be restored"
        fine = [end for end in found.backups if end not in set(found.unrestorable)]
        if after:
            told += f"; {show(after[0])} and later can"
        elif fine:
            told += f"; the newest that can is that of {show(fine[-1])}"
        else:
            told += "; that is all of them"
        lines.append(told)
    for period, lacking in found.incomplete.items():
        spans = ", ".join(_span(run, show) for run in _runs(lacking, found.backups))
        elsewhere = [end for end in lacking if end not in set(found.unrestorable)]
        rest = "; other directories have what is missing" if elsewhere and len(elsewhere) == len(lacking) else ""
        lines.append(f"{path_of(period)} is not complete on its own: it cannot restore the backups {spans}{rest}")
    return lines


def _runs(ends: Sequence[int], backups: Sequence[int]) -> list[list[int]]:
    """Cut times into runs that no other backup lies between."""
    place = {end: number for number, end in enumerate(backups)}
    runs: list[list[int]] = []
    for end in ends:
        if runs and place[end] == place[runs[-1][-1]] + 1:
            runs[-1].append(end)
        else:
            runs.append([end])
    return runs


def _span(run: Sequence[int], show: Callable[[int], str]) -> str:
    return f"of {show(run[0])}" if len(run) == 1 else f"from {show(run[0])} to {show(run[-1])}"


def _shower(backups: Sequence[int]) -> Callable[[int], str]:
    """Dates are enough where no day has two backups."""
    days = [clock.local(end)[:10] for end in backups]
    if len(set(days)) == len(days):
        return lambda end: clock.local(end)[:10]
    return clock.local
