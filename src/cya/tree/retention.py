"""Which directories of a tree go, and why each other one stays.

The rules, in short (DESIGN.md has the reasons):

* Of a level that the policy names, the newest so many periods stay; of another level, all. A period counts when a
  backup can be restored from it, at its place in the tree, which the archive's clock gave it: no time of a client's.
* Whatever the policy says, these stay: what is in use, what lies in the future or is not of these levels, what ended
  less than ``min_age`` ago, what the newest ``min_backups`` backups need, and what holds anything that stays.
* In a directory that stays, chains go that a newer one has superseded: see :mod:`cya.tree.superseded`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cya.tree.chain import Chain, Increment, chains
from cya.tree.levels import Calendar, Period, plural, upwards
from cya.tree.placement import FUTURE, Serving, Tree
from cya.tree.superseded import superseded

_DAY = 86400


@dataclass(frozen=True)
class Policy:
    """What to keep.

    :ivar keep: for some levels, how many periods, the newest. Of a level that is not named all are kept.
    :ivar min_age: seconds; a period that ended less than this ago stays.
    :ivar min_backups: so many of the newest backups that can be restored stay.
    :raises ValueError: for numbers under which nothing might be left.
    """

    keep: Mapping[str, int] = field(default_factory=dict)
    min_age: int = 0
    min_backups: int = 1

    def __post_init__(self) -> None:
        if any(number < 1 for number in self.keep.values()) or self.min_backups < 1 or self.min_age < 0:
            raise ValueError("expected 1 or more periods of each level that is named, and 1 or more backups")


@dataclass(frozen=True)
class Verdict:
    """What becomes of a period's directory with all in it, or of one chain of a directory that stays; and why."""

    period: Period
    goes: bool
    reason: str
    chain: Chain | None = None


@dataclass(frozen=True)
class Retention:
    """What becomes of a tree.

    :ivar verdicts: one for each period, coarse to fine, then one for each chain that goes from one that stays.
    :ivar lost: the backups that can be restored now, and could not be afterwards; oldest first.
    :ivar left: those that can be restored afterwards; oldest first.
    """

    verdicts: tuple[Verdict, ...]
    lost: tuple[Increment, ...]
    left: tuple[Increment, ...]

    @property
    def going(self) -> tuple[Verdict, ...]:
        """What goes, in the order in which it is deleted: the finest first, of these the newest."""
        newest = sorted((each for each in self.verdicts if each.goes), key=lambda each: each.period, reverse=True)
        return tuple(sorted(newest, key=lambda each: -len(each.period)))


def retain(
    tree: Tree, calendar: Calendar, policy: Policy, now: int, known: Tree | None = None, in_use: Serving | None = None
) -> Retention:
    """Decide what goes at ``now`` (seconds since the epoch, by the archive's clock).

    :param tree: the increments of each period that are whole and not known to be damaged.
    :param known: all of which anything lies there, as for :func:`cya.tree.placement.serve`.
    :param in_use: what the client was served: its leaf and all above stay, and the chain that it goes on from.
    :raises ValueError: when the policy names a level that the calendar does not have.
    """
    if unknown := [level for level in policy.keep if level not in calendar.levels]:
        raise ValueError(f"there is no level {unknown[0]!r} in this tree; it has {', '.join(calendar.levels)}")
    every = {p: frozenset(tree.get(p, ())).union((known or {}).get(p, ())) for p in {*tree, *(known or {})}}
    intact = {period: chains(tree.get(period, ())).chains for period in every if every[period]}
    path = frozenset(upwards(calendar.leaf(now))).union(upwards(in_use.leaf) if in_use else ())

    kept, doomed = _by_policy(intact, calendar, policy, now, path)
    newest = _newest(intact, policy.min_backups, now)
    _keep_around(list(kept), kept, doomed)
    _keep_newest(newest, intact, kept, doomed)

    verdicts = [Verdict(p, p in doomed, doomed.get(p) or kept[p]) for p in sorted(intact, key=lambda p: (len(p), p))]
    left = {period: found for period, found in intact.items() if period in kept}
    served = in_use.chain.increments if in_use and in_use.chain else ()
    for period in sorted(left, key=lambda p: (len(p), p)):
        if len(period) >= len(calendar.levels) or not calendar.has(period):
            continue  # the finest hold whatever there is
        if len(every[period]) > sum(map(len, left[period])):
            continue  # where something is damaged nobody knows what is needed
        spared = {*served, *_younger(left[period], now - policy.min_age)}
        for chain, reason in superseded(left[period], calendar, len(period), now):
            others = {**left, period: tuple(other for other in left[period] if other != chain)}
            if spared.union(set(newest) - restorable(others)).isdisjoint(chain.increments):
                verdicts.append(Verdict(period, True, reason, chain))
                left = others
    before, after = restorable(intact), restorable(left)
    return Retention(tuple(verdicts), _sorted(before - after), _sorted(after))


Chained = Mapping[Period, tuple[Chain, ...]]
"""The chains of each period."""


def restorable(intact: Chained) -> frozenset[Increment]:
    """Return the backups that can be restored from some period alone."""
    return frozenset(increment for found in intact.values() for chain in found for increment in chain.increments)


def _sorted(increments: Iterable[Increment]) -> tuple[Increment, ...]:
    return tuple(sorted(increments, key=lambda i: (i.end, i.start or 0)))


def _newest(intact: Chained, number: int, now: int) -> tuple[Increment, ...]:
    """Return the newest backups; what ends in the future was made under a clock that ran wild."""
    return _sorted(increment for increment in restorable(intact) if increment.end <= now + FUTURE)[-number:]


def _younger(found: Iterable[Chain], moment: int) -> Iterable[Increment]:
    return (increment for chain in found if chain.end > moment for increment in chain.increments)


def _by_policy(
    intact: Chained, calendar: Calendar, policy: Policy, now: int, path: frozenset[Period]
) -> tuple[dict[Period, str], dict[Period, str]]:
    """Return the periods that stay and those that go, each judged by itself, with the reason."""
    kept: dict[Period, str] = {}
    doomed: dict[Period, str] = {}
    counted: dict[str, int] = {}
    for period in sorted(intact, reverse=True):
        try:
            begin, end = calendar.span(period)
        except ValueError:
            kept[period] = "is no period of the levels that this tree has now"
            continue
        level = calendar.level(period)
        number = policy.keep.get(level)
        rank = counted.get(level, 0) + 1
        if begin > now:
            kept[period] = "begins in the future: a clock ran wild"
        elif number is None:
            kept[period] = f"all {plural(level)} are kept"
        elif rank <= number:
            has_any = any(i.end <= now + FUTURE for chain in intact[period] for i in chain.increments)
            counted[level] = rank - 1 + has_any
            which = (
                f"{level} {rank} of {number}"
                if has_any
                else f"does not count, since nothing in it can be restored; {plural(level)} before it are kept"
            )
            kept[period] = which
        elif period in path:
            kept[period] = "the next backup goes here"
        elif end > now - policy.min_age:
            kept[period] = f"ended less than {policy.min_age // _DAY} days ago (min_age)"
        else:
            doomed[period] = (
                f"not one of the newest {number} {plural(level)}" if number > 1 else f"not the newest {level}"
            )
    return kept, doomed


def _keep_around(periods: Iterable[Period], kept: dict[Period, str], doomed: dict[Period, str]) -> None:
    """Keep what holds periods that are kept: a directory goes with all that is in it."""
    for period in periods:
        for above in upwards(period[:-1]):
            if doomed.pop(above, None):
                kept[above] = f"holds {period[-1]}, which is kept"


def _keep_newest(
    newest: Iterable[Increment], intact: Chained, kept: dict[Period, str], doomed: dict[Period, str]
) -> None:
    """Keep what the newest backups need; of several directories that would do, the coarsest: it needs fewest others."""
    for increment in newest:
        holding = [p for p, found in intact.items() if any(increment in chain.increments for chain in found)]
        if all(period in doomed for period in holding):
            chosen = min(holding, key=lambda period: (len(period), period))
            del doomed[chosen]
            kept[chosen] = "one of the newest backups can be restored from nowhere else (min_backups)"
            _keep_around([chosen], kept, doomed)
