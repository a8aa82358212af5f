"""The rules that DESIGN.md promises of every tree, whatever the levels and however backups come in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cya.tree.chain import Chain, Increment, chains
from cya.tree.levels import ALL_LEVELS, Calendar
from cya.tree.placement import Serving, adopt, commit, serve
from tests.tree.model import TreeModel, every

DAYS = {"century": 36525, "decade": 3653, "year": 366, "month": 31, "week": 7, "day": 1}
MOST = {("century", "decade"): 10, ("decade", "year"): 10, ("year", "month"): 12, ("month", "week"): 6}
"""How many periods of a level begin in one of the next coarser level, where it is not simply the quotient of days."""

LEVELS = st.sets(st.sampled_from(ALL_LEVELS), min_size=1).map(lambda s: tuple(sorted(s, key=ALL_LEVELS.index)))
START = datetime(1998, 11, 3, 3, tzinfo=UTC)


def longest_daily_chain(levels: tuple[str, ...]) -> int:
    """The sum of the level sizes: a full, an increment for each period in its parent, one for each day of a leaf."""
    centuries = 1 + len({(START.year + y) // 100 for y in range(40)}) if levels[0] == "century" else 1
    between = sum(MOST.get(pair, -(-DAYS[pair[0]] // DAYS[pair[1]]) + 1) for pair in pairwise(levels))
    return centuries + between + DAYS[levels[-1]]


@st.composite
def histories(draw: st.DrawFn) -> TreeModel:
    """A tree after backups at irregular times, with gaps of years, fulls in between, and a clock that steps back."""
    model = TreeModel(Calendar(draw(LEVELS), draw(st.sampled_from(["sunday", "monday"]))))
    moment = START
    steps = st.one_of(st.integers(1, 72), st.integers(-200, 2000), st.integers(20_000, 100_000))
    for hours, full in draw(st.lists(st.tuples(steps, st.sampled_from([False] * 9 + [True])), max_size=60)):
        moment = max(START, moment + timedelta(hours=hours))
        model.backup(int(moment.timestamp()), full=full)
    return model


@given(histories())
@settings(max_examples=150, deadline=None)
def test_every_directory_holds_complete_chains(model: TreeModel) -> None:
    for period, increments in model.tree.items():
        assert not chains(increments).orphans, period


@given(histories(), st.data())
@settings(max_examples=100, deadline=None)
def test_deleting_any_subtree_leaves_every_other_directory_complete(model: TreeModel, data: st.DataObject) -> None:
    if not model.tree:
        return
    everything = {increment for increments in model.tree.values() for increment in increments}
    victim = data.draw(st.sampled_from(sorted(model.tree)))
    inside = {i for period, increments in model.tree.items() if period[: len(victim)] == victim for i in increments}
    model.remove(victim)
    # What was in other directories, too, can be restored from them without the deleted ones.
    for increment in everything - inside:
        assert any(chains(increments).holding(increment) for increments in model.tree.values())
    for increments in model.tree.values():
        assert all(chains(increments).holding(increment) for increment in increments)
    for day in range(30):  # and what follows is sound, too
        model.backup(int((datetime(2040, 1, 1, tzinfo=UTC) + timedelta(days=day)).timestamp()))
    assert not any(chains(increments).orphans for increments in model.tree.values())


@given(LEVELS, st.sampled_from(["sunday", "monday"]))
@settings(max_examples=25, deadline=None)
def test_a_chain_is_never_longer_than_the_sum_of_the_level_sizes(levels: tuple[str, ...], week_start: str) -> None:
    calendar = Calendar(levels, "sunday" if week_start == "sunday" else "monday")
    model = TreeModel(calendar).run(every(timedelta(days=1), START, START + timedelta(days=2500)))
    longest = max(len(chain) for increments in model.tree.values() for chain in chains(increments).chains)
    assert longest <= longest_daily_chain(levels)


def test_forty_years_of_daily_backups_never_need_more_than_46_increments() -> None:
    model = TreeModel(Calendar()).run(every(timedelta(days=1), START, START + timedelta(days=40 * 365)))
    longest = max(len(chain) for increments in model.tree.values() for chain in chains(increments).chains)
    assert longest <= 1 + 10 + 10 + 12 + 6 + 7
    fulls = {increment for increments in model.tree.values() for increment in increments if increment.is_full}
    assert len(fulls) == 2  # one a century: never a new full within one


@given(histories())
@settings(max_examples=100, deadline=None)
def test_every_backup_is_in_its_leaf_and_the_newest_is_restorable_from_it(model: TreeModel) -> None:
    everything = {increment for increments in model.tree.values() for increment in increments}
    for increment in everything:
        leaf = model.tree[model.calendar.leaf(increment.end)]
        assert chains(leaf).holding(increment) is not None


def test_nothing_is_served_to_a_new_client() -> None:
    assert serve({}, Calendar(), 0) == Serving(Calendar().leaf(0))


A, B, C, D = Increment(None, 100), Increment(100, 200), Increment(200, 300), Increment(100, 250)
LEAF = ("2000", "2001")


@pytest.mark.parametrize(
    ("increment", "reason"),
    [
        (Increment(150, 400), "start where the chain"),
        (Increment(200, 200), "after its start"),
        (Increment(200, 150), "after its start"),
        (Increment(None, 200), "end after the chain"),
    ],
)
def test_an_increment_that_does_not_continue_what_was_served_is_refused(increment: Increment, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        commit(Serving(LEAF, LEAF[:1], Chain((A, B))), increment)


def test_an_increment_where_nothing_was_served_is_refused() -> None:
    with pytest.raises(ValueError, match="no chain was served"):
        commit(Serving(LEAF), B)


def test_a_chain_has_no_branches() -> None:
    found = chains([D, C, B, A])
    assert found.chains == (Chain((A, B, C)),)
    assert found.orphans == (D,)


def test_a_chain_is_restored_up_to_the_increment_asked_for() -> None:
    assert chains([A, B, C]).holding(B) == Chain((A, B))
    assert chains([A, C]).holding(C) is None


def test_a_leaf_of_the_2012_cya_is_completed_from_above() -> None:
    week, month = ("2012-12", "2012-12-09"), ("2012-12",)
    held = {
        month: {A: frozenset({b"A.vol1", b"A.manifest"}), B: frozenset({b"B.vol1", b"B.manifest"})},
        week: {A: frozenset({b"A.manifest"}), B: frozenset({b"B.vol1", b"B.manifest"})},
    }
    (completion,) = adopt(held)
    assert (completion.period, completion.source, completion.names) == (week, month, (b"A.vol1",))
    assert adopt({week: held[week]}) == ()
