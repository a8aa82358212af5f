"""What holds of every prune, whatever the tree, the policy and the client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cya.tree.chain import Increment, chains
from cya.tree.levels import ALL_LEVELS, Calendar, Period
from cya.tree.placement import serve
from cya.tree.retention import Policy, Retention, retain
from cya.tree.simulation import Simulation

LEVELS = st.sets(st.sampled_from(ALL_LEVELS), min_size=1).map(lambda s: tuple(sorted(s, key=ALL_LEVELS.index)))
START = int(datetime(2019, 11, 3, 3, tzinfo=UTC).timestamp())
DAY = 86400
TOLERANCE = 15 * 60
"""So far into the future an archive lets a client date its backup."""


@st.composite
def policies(draw: st.DrawFn, levels: tuple[str, ...]) -> Policy:
    named = draw(st.sets(st.sampled_from(levels)))
    keep = {level: draw(st.integers(1, 5)) for level in levels if level in named}
    return Policy(keep, draw(st.sampled_from([0, 0, 10, 100])) * DAY, draw(st.integers(1, 6)))


@st.composite
def histories(draw: st.DrawFn) -> tuple[Simulation, Policy, int]:
    """A tree with gaps, fulls in between and a clock that steps; a policy; and when it is pruned."""
    levels = draw(LEVELS)
    simulation, now = Simulation(Calendar(levels)), START
    steps = st.one_of(st.integers(1, 72), st.integers(1, 2000), st.integers(-100, 9000))
    for hours, full in draw(st.lists(st.tuples(steps, st.sampled_from([False] * 6 + [True])), max_size=50)):
        now += hours * 3600
        simulation.backup(now, full=full)
    return simulation, draw(policies(levels)), now + draw(st.integers(0, 40)) * DAY


Tree = dict[Period, set[Increment]]


def copied(tree: Tree) -> Tree:
    return {period: set(increments) for period, increments in tree.items()}


def pruned(simulation: Simulation, policy: Policy, now: int) -> tuple[Tree, Retention]:
    """The tree before, and what was decided; the simulation is pruned."""
    before = copied(simulation.tree)
    return before, simulation.prune(policy, now)


def backups(tree: Tree) -> set[Increment]:
    return {i for found in tree.values() for chain in chains(found).chains for i in chain.increments}


@given(histories())
@settings(max_examples=150, deadline=None)
def test_every_directory_that_stays_holds_complete_chains(history: tuple[Simulation, Policy, int]) -> None:
    simulation, policy, now = history
    before, decided = pruned(simulation, policy, now)
    assert not any(chains(found).orphans for found in simulation.tree.values())
    assert all(simulation.tree.values())
    assert backups(simulation.tree) == set(decided.left)
    assert backups(before) - backups(simulation.tree) == set(decided.lost)


@given(histories())
@settings(max_examples=150, deadline=None)
def test_what_is_served_is_the_same_before_and_after(history: tuple[Simulation, Policy, int]) -> None:
    simulation, policy, now = history
    served = serve(simulation.tree, simulation.calendar, now)
    simulation.prune(policy, now, served)
    assert serve(simulation.tree, simulation.calendar, now) == served


@given(histories())
@settings(max_examples=150, deadline=None)
def test_the_newest_backups_stay(history: tuple[Simulation, Policy, int]) -> None:
    simulation, policy, now = history
    before, _ = pruned(simulation, policy, now)
    newest = sorted((i for i in backups(before) if i.end <= now + DAY), key=lambda i: i.end)[-policy.min_backups :]
    assert set(newest) <= backups(simulation.tree)


@given(histories())
@settings(max_examples=150, deadline=None)
def test_the_newest_of_each_level_stay_and_nothing_of_a_level_that_is_not_named_goes(
    history: tuple[Simulation, Policy, int],
) -> None:
    simulation, policy, now = history
    before, _ = pruned(simulation, policy, now)
    for depth, level in enumerate(simulation.calendar.levels, 1):
        there = sorted(period for period in before if len(period) == depth)
        past = [period for period in there if simulation.calendar.span(period)[0] <= now]
        number = policy.keep.get(level)
        assert set(there if number is None else past[-number:]) <= simulation.tree.keys()
        gone = [period for period in there if period not in simulation.tree]
        assert all(now >= simulation.calendar.span(period)[1] + policy.min_age for period in gone)


@given(histories())
@settings(max_examples=150, deadline=None)
def test_no_directory_goes_without_all_that_is_in_it(history: tuple[Simulation, Policy, int]) -> None:
    simulation, policy, now = history
    before, _ = pruned(simulation, policy, now)
    for period in simulation.tree:
        above = [period[:depth] for depth in range(1, len(period)) if period[:depth] in before]
        assert all(each in simulation.tree for each in above)


@given(histories())
@settings(max_examples=150, deadline=None)
def test_pruning_again_finds_nothing(history: tuple[Simulation, Policy, int]) -> None:
    simulation, policy, now = history
    simulation.prune(policy, now)
    assert not simulation.prune(policy, now).going


@given(histories())
@settings(max_examples=100, deadline=None)
def test_stopped_after_any_deletion_every_directory_is_whole(history: tuple[Simulation, Policy, int]) -> None:
    """What goes is deleted one by one; whoever looks in between sees a tree as good as any."""
    simulation, policy, now = history
    decided = retain(simulation.tree, simulation.calendar, policy, now)
    for verdict in decided.going:
        if verdict.chain is None:
            within = [p for p in simulation.tree if p[: len(verdict.period)] == verdict.period]
            assert within in ([], [verdict.period])  # the finest first: nothing is deleted with what it lies in
            simulation.remove(verdict.period)
        else:
            simulation.tree[verdict.period] -= set(verdict.chain.increments)
        assert not any(chains(found).orphans for found in simulation.tree.values())
        assert set(decided.left) <= backups(simulation.tree)


@given(histories(), st.data())
@settings(max_examples=100, deadline=None)
def test_damage_pushes_nothing_sound_out(history: tuple[Simulation, Policy, int], data: st.DataObject) -> None:
    """Of what can still be restored no less stays than if the damaged directories had never been."""
    simulation, policy, now = history
    if not simulation.tree:
        return
    finest = [p for p in simulation.tree if len(p) == len(simulation.calendar.levels)]
    damaged = data.draw(st.sets(st.sampled_from(sorted(finest)), max_size=3))
    whole = {period: set() if period in damaged else found for period, found in simulation.tree.items()}
    without = {period: found for period, found in simulation.tree.items() if period not in damaged}
    decided = retain(whole, simulation.calendar, policy, now, simulation.tree)
    assert set(decided.left) >= set(retain(without, simulation.calendar, policy, now).left)


# ---------------------------------------------------------------------------------------------------------------------
# A client that lies


@given(LEVELS.filter(lambda levels: levels[-1] in ("week", "day")), st.data())
@settings(max_examples=60, deadline=None)
def test_a_client_that_lies_about_its_time_pushes_nothing_out(levels: tuple[str, ...], data: st.DataObject) -> None:
    """Two archives with the same past; then one client goes on, the other one's is in bad hands.

    Whatever the bad one says, no directory goes that would not go for the good one, and all that was committed before
    and stays for the good one stays for the bad one, too. (But for ``min_backups``, which no policy should rest on: it
    counts backups, and a client can make as many as it likes.)
    """
    good, bad = Simulation(Calendar(levels)), Simulation(Calendar(levels))
    policy = replace(data.draw(policies(levels)), min_backups=1)
    now = START
    for _ in range(data.draw(st.integers(5, 40))):
        now += DAY
        good.backup(now)
        bad.backup(now)
        good.prune(policy, now)
        bad.prune(policy, now)
    before = backups(good.tree)
    for step in data.draw(st.lists(st.sampled_from([1, 1, 1, 7, 31]), min_size=1, max_size=20)):
        now += step * DAY
        good.backup(now)
        serving = serve(bad.tree, bad.calendar, now)
        known = [i.end for found in bad.tree.values() for i in found if i.end <= now]
        start = serving.chain.end if serving.chain and data.draw(st.booleans()) else None
        end = data.draw(st.integers(1 + (start or max(known)), now + TOLERANCE))
        bad.commit(serving, Increment(start, end))
        good.prune(policy, now)
        bad.prune(policy, now)
        assert good.tree.keys() <= bad.tree.keys()
        assert before & backups(good.tree) <= backups(bad.tree)


@pytest.mark.parametrize("policy", [{"keep": {"week": 0}}, {"min_backups": 0}, {"min_age": -1}])
def test_a_policy_that_might_leave_nothing_is_refused(policy: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Policy(**policy)  # type: ignore[arg-type]


def test_a_level_that_the_tree_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no level 'day' in this tree; it has century, decade"):
        retain({}, Calendar(), Policy({"day": 3}), START)
