"""Thirty years of daily backups, pruned after each: with absences, policies that change, clocks that step, and fulls.

After each day every directory holds complete chains, and what can be restored is what an administrator would expect who
knows nothing of chains: of each directory that is kept all backups of a finest one, and of a coarser one the first of
each period within it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cya.tree.chain import Increment, chains
from cya.tree.levels import Calendar, Period, upwards
from cya.tree.retention import Policy
from cya.tree.simulation import Simulation

START = int(datetime(1998, 11, 3, 3, tzinfo=UTC).timestamp())
DAY = 86400
YEARS = 30
POLICIES = (
    {"week": 2, "month": 12, "year": 10},
    {"week": 8, "month": 24},
    {"week": 1, "month": 1, "year": 1, "decade": 1, "century": 1},
    {"week": 4, "month": 6, "year": 3, "decade": 2},
    {"week": 5},
    {"week": 13, "month": 2, "year": 5},
)


class Expected:
    """What an administrator expects: directories by the calendar, and the days that were backed up in each.

    :ivar days: of each directory the days that can be restored from it, by the finer period that each is the first of;
        of a finest one all of them.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.days: dict[Period, dict[object, int]] = {}

    def backup(self, now: int) -> None:
        leaf = self.calendar.leaf(now)
        for period in upwards(leaf):
            self.days.setdefault(period, {}).setdefault(now if period == leaf else leaf[: len(period) + 1], now)

    def prune(self, keep: dict[str, int], now: int) -> None:
        kept = set(upwards(self.calendar.leaf(now)))
        for depth, level in enumerate(self.calendar.levels, 1):
            there = sorted(period for period in self.days if len(period) == depth)
            for period in there[-keep[level] :] if level in keep else there:
                kept |= set(upwards(period))
        self.days = {period: days for period, days in self.days.items() if period in kept}

    def left(self) -> set[int]:
        return {day for days in self.days.values() for day in days.values()}


def days_at_work(chance: random.Random) -> Iterator[int]:
    """The moments of backups: most days, now and then none for weeks, sometimes several a day."""
    now, end = START, START + YEARS * 365 * DAY
    while now < end:
        yield now
        away = chance.random()
        days = 1 if away < 0.97 else chance.randrange(2, 10) if away < 0.998 else chance.randrange(10, 400)
        now += days * DAY + chance.randrange(-3600, 3600)


class Seen:
    """Looks at a tree again and again; only at what has changed since it looked last."""

    def __init__(self) -> None:
        self.sound: dict[Period, frozenset[Increment]] = {}

    def ends(self, tree: dict[Period, set[Increment]]) -> set[int]:
        """The ends of all that can be restored; every directory is complete."""
        for period, increments in tree.items():
            if frozenset(increments) != self.sound.get(period):
                assert not chains(increments).orphans, period
                self.sound[period] = frozenset(increments)
        return {increment.end for increments in tree.values() for increment in increments}


@pytest.mark.slow
def test_each_day_for_thirty_years_there_is_what_the_policy_says() -> None:
    chance, seen = random.Random(30), Seen()
    simulation = Simulation(Calendar())
    expected = Expected(simulation.calendar)
    keep, steps, longest, fulls = POLICIES[0], 0, 0, set[int]()
    for now in days_at_work(chance):
        if chance.random() < 1 / 500:
            keep = chance.choice(POLICIES)
        simulation.backup(now)
        expected.backup(now)
        simulation.prune(Policy(keep), now)
        expected.prune(keep, now)
        left = seen.ends(simulation.tree)
        assert simulation.tree.keys() == expected.days.keys(), now
        assert left == expected.left(), now
        steps += 1
        longest = max(longest, max(map(len, simulation.tree.values())))
        fulls |= {i.end for i in simulation.tree[simulation.calendar.leaf(now)] if i.is_full}
    assert steps > 7500
    assert longest <= 1 + 10 + 10 + 12 + 6 + 14
    assert len(fulls) == 2  # one a century: pruning never makes a new full necessary


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_clocks_and_clients_do_for_thirty_years_every_directory_is_whole(seed: int) -> None:
    """The clock steps for some days, fulls come out of turn, and weeks are deleted by hand."""
    chance, seen = random.Random(seed), Seen()
    simulation = Simulation(Calendar())
    policy, offset, until = Policy(POLICIES[0]), 0, 0
    refused = 0
    for real in days_at_work(chance):
        if real >= until:
            offset = 0
        if chance.random() < 1 / 300:
            offset = chance.choice([-400, -30, -3, -1, 1, 3, 30, 400]) * DAY
            until = real + chance.choice([1, 2, 10]) * DAY
        if chance.random() < 1 / 300:
            policy = Policy(chance.choice(POLICIES), chance.choice([0, 0, 20]) * DAY, chance.choice([1, 3, 10]))
        now = real + offset
        before = seen.ends(simulation.tree)
        refused += simulation.backup(now, full=chance.random() < 1 / 100) is None
        decided = simulation.prune(policy, now)
        left = seen.ends(simulation.tree)
        newest = sorted(end for end in before | left if end <= now + DAY)[-policy.min_backups :]
        assert set(newest) <= left
        assert {increment.end for increment in decided.left} == left
        if chance.random() < 1 / 200:
            simulation.remove(chance.choice(sorted(simulation.tree)))
    assert 0 < refused < 1000
