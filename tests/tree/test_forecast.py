"""What a policy comes to: counted by hand where that can be done, and beside a prune after each backup."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cya.tree.estimate import DAY, Data
from cya.tree.forecast import Moment, bands, moments
from cya.tree.levels import Calendar
from cya.tree.retention import Policy
from cya.tree.simulation import Simulation

START = int(datetime(2016, 3, 1, 2, tzinfo=UTC).timestamp())
"""As in the benchmark's decade."""
KEEP = {"week": 2, "month": 12}


def test_the_benchmarks_decade_is_foretold() -> None:
    """Real backups by cya, 3,650 of them: so many were left, and the longest chain was so long."""
    measured = json.loads(Path("docs/benchmarks.json").read_text())["decade"]["keepers"]["cya's tree"]
    last = list(moments(Calendar(), Policy(KEEP), START, DAY, 3650))[-1]
    assert (len(last.ends), max(last.lengths)) == (measured["kept"], measured["longest"])


def test_the_room_of_the_benchmarks_decade_is_foretold_within_a_quarter() -> None:
    """From what its administrator would know: the tree at its two ends, and what one long chain takes in all."""
    measured = json.loads(Path("docs/benchmarks.json").read_text())["decade"]
    first, last = measured["source"]["first"][1], measured["source"]["last"][1]
    daily = measured["keepers"]["duplicity, one chain"]["stored"] / measured["days"]
    growth = (last - first) / measured["days"]
    data = Data(first, (daily - growth) / ((first + last) / 2), 0.05, growth)
    told = list(moments(Calendar(), Policy(KEEP), START, DAY, 3650, data))[-1].bytes
    assert abs(told / measured["keepers"]["cya's tree"]["stored"] - 1) < 0.25


@pytest.mark.parametrize("keep", [KEEP, {"week": 1, "month": 1, "year": 1}, {"week": 20, "month": 2}, {}])
@pytest.mark.parametrize("every", [DAY, 7 * DAY, DAY // 3])
def test_pruning_when_a_period_begins_leaves_what_pruning_after_each_backup_does(
    keep: dict[str, int], every: int
) -> None:
    count = 400 * DAY // every if every >= DAY else 300
    data = Data(1e9, 0.01, 0.05)
    last = list(moments(Calendar(), Policy(keep), START, every, count, data))[-1]
    simulation = Simulation(Calendar())
    for number in range(count):
        now = START + number * every
        simulation.backup(now)
        simulation.prune(Policy(keep), now)
    left = {increment for increments in simulation.tree.values() for increment in increments}
    assert last.ends == tuple(sorted(increment.end for increment in left))
    assert last.directories == len(simulation.tree)
    assert last.bytes == pytest.approx(
        sum(
            data.full((i.end - START) / DAY)
            if i.start is None
            else data.increment((i.end - START) / DAY, (i.end - i.start) / DAY)
            for i in left
        )
    )


def test_increments_grow_with_what_changes_and_never_beyond_it() -> None:
    steady = Data(1000, 0.01)
    assert steady.increment(10, 1) == pytest.approx(10)
    assert steady.increment(10, 2) == pytest.approx(19.9)
    assert steady.increment(10**5, 10**4) == pytest.approx(1000)
    hot = Data(1000, 0.01, 0.05)
    assert hot.increment(10, 1) == pytest.approx(10)
    assert hot.increment(10, 2) == pytest.approx(18)
    assert hot.increment(10**4, 10**3) == pytest.approx(50)
    growing = Data(1000, 0, 1, 5)
    assert growing.full(10) == 1050
    assert growing.increment(10, 7) == 35


def test_ages_are_counted_in_bands() -> None:
    now = 1000 * DAY
    days_ago = (100, 60, 40, 20, 10, 3, 1)
    ends = tuple(now - days * DAY for days in days_ago)
    earlier = Moment(now - 30 * DAY, tuple(end for end in ends if end <= now - 30 * DAY), (1,), 1, 0.0)
    found = bands([earlier, Moment(now, ends, (1,) * len(ends), 1, 0.0)])
    assert [(band.least, band.points) for band in found] == [(0, 2), (7, 2), (31, 2), (92, 1)]
    assert [band.typical for band in found] == [2 * DAY, 10 * DAY, 20 * DAY, None]
    assert [band.greatest for band in found] == [7 * DAY, 20 * DAY, 40 * DAY, 40 * DAY]
    assert [band.worst for band in found] == [10 * DAY, 40 * DAY, 40 * DAY, 40 * DAY]
