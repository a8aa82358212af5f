"""What a policy comes to: which backups there are after years, how far apart, and in how long chains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from cya.tree.chain import Increment
from cya.tree.estimate import DAY, Data
from cya.tree.levels import Calendar
from cya.tree.retention import Policy
from cya.tree.simulation import Simulation

BANDS = (0, 7, 31, 92, 365, 2 * 365, 5 * 365, 10 * 365, 20 * 365, 50 * 365)
"""Ages in days that are looked at apart."""


@dataclass(frozen=True)
class Band:
    """The backups of some age.

    :ivar least, most: age in days.
    :ivar points: how many there are.
    :ivar typical: seconds between two of them, the median; None with less than two.
    :ivar greatest: the longest time, in seconds, that lies between two backups and in this band at least in part.
    :ivar worst: the same at any time of the last year.
    """

    least: int
    most: int
    points: int
    typical: float | None
    greatest: float
    worst: float


@dataclass(frozen=True)
class Moment:
    """The tree after a prune.

    :ivar time: seconds since the epoch.
    :ivar ends: of all that can be restored, ascending.
    :ivar lengths: of the chain up to each.
    :ivar directories: how many.
    :ivar bytes: that the increments take, each once; 0 without a model of the data.
    """

    time: int
    ends: tuple[int, ...]
    lengths: tuple[int, ...]
    directories: int
    bytes: float


def moments(
    calendar: Calendar, policy: Policy, start: int, every: int, count: int, data: Data | None = None
) -> Iterator[Moment]:
    """Simulate; yield the tree whenever a period has begun, and at the end.

    Nothing but that makes anything go, so a prune after each backup would leave the same.

    :param every: seconds from one backup to the next.
    :param count: number of backups.
    :param data: with it sizes are estimated.
    """
    simulation, last = Simulation(calendar), None
    made: dict[Increment, float] = {}
    for now in range(start, start + count * every, every):
        leaf = calendar.leaf(now)
        simulation.backup(now)
        if data is not None:
            for increment in simulation.tree[leaf]:
                if increment not in made:
                    made[increment] = _size(data, increment, start)
        if leaf != last or now + every >= start + count * every:
            simulation.prune(policy, now)
            yield _moment(simulation, now, made)
            last = leaf


def _size(data: Data, increment: Increment, first: int) -> float:
    days = (increment.end - first) / DAY
    return data.full(days) if increment.start is None else data.increment(days, (increment.end - increment.start) / DAY)


def _moment(simulation: Simulation, now: int, made: dict[Increment, float]) -> Moment:
    left = {increment for increments in simulation.tree.values() for increment in increments}
    for gone in [increment for increment in made if increment not in left]:
        del made[gone]
    by_end = sorted(left, key=lambda each: each.end)
    length: dict[int, int] = {}
    for increment in by_end:
        length[increment.end] = 1 + (length[increment.start] if increment.start is not None else 0)
    ends = tuple(length)
    return Moment(now, ends, tuple(length.values()), len(simulation.tree), sum(made.values()))


def bands(seen: Sequence[Moment]) -> list[Band]:
    """Return the backups of the last moment by their age; none older than the oldest."""
    last = seen[-1]
    year = [moment for moment in seen if moment.time > last.time - 365 * DAY]
    found = []
    for least, most in zip(BANDS, (*BANDS[1:], 10**6), strict=True):
        if last.time - last.ends[0] < least * DAY:
            break
        inside = [end for end in last.ends if least * DAY <= last.time - end < most * DAY]
        apart = [newer - older for older, newer in pairwise(inside)]
        worst = max(_greatest(moment, least, most) for moment in year)
        typical = median(apart) if apart else None
        found.append(Band(least, most, len(inside), typical, _greatest(last, least, most), worst))
    return found


def _greatest(moment: Moment, least: int, most: int) -> int:
    """Return the longest time between two backups that lies in a band at least in part."""
    newest, oldest = moment.time - least * DAY, moment.time - most * DAY
    pairs = zip(moment.ends, (*moment.ends[1:], moment.time), strict=True)
    return max((newer - older for older, newer in pairs if older < newest and newer > oldest), default=0)
