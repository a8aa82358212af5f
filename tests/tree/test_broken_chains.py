"""What is served when a period holds a chain that is damaged: never one that would branch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.tree.chain import Chain, Increment, chains
from cya.tree.levels import Calendar
from cya.tree.placement import FUTURE, Serving, commit, serve, sound_chains

F, A, B, C = Increment(None, 100), Increment(100, 200), Increment(200, 300), Increment(300, 400)
G, H = Increment(None, 500), Increment(500, 600)
NOW = 1000
LEAF = Calendar().leaf(NOW)
MONTH = LEAF[:-1]


@pytest.mark.parametrize(
    ("known", "bad", "served"),
    [
        ([F, A, B, C], [], [F, A, B, C]),
        ([F, A, B, C], [C], []),
        ([F, A, B, C], [B], []),
        ([F, A, B, C], [F], []),
        ([F, A, C], [], []),  # nothing of B is left
        ([F, A, B, C, G, H], [B], [G, H]),
        ([F, A, B, C, G, H], [H], [F, A, B, C]),
        ([F, A, B, C, G, H], [G], [F, A, B, C]),
        ([F, A, B, C, G, H], [B, H], []),
        ([F, A, C, G, H], [], [G, H]),
        ([F, A, Increment(100, 150)], [], []),  # two go on from the same: the later one is behind the chain
        ([F, Increment(10 * FUTURE, 11 * FUTURE)], [], [F]),  # a clock ran wild, and its chain was deleted
    ],
)
def test_a_chain_with_anything_of_it_behind_it_is_not_continued(
    known: list[Increment], bad: list[Increment], served: list[Increment]
) -> None:
    whole = [increment for increment in known if increment not in bad]
    expected = Serving(LEAF, LEAF, Chain(tuple(served))) if served else Serving(LEAF)
    assert serve({LEAF: whole}, Calendar(), NOW, {LEAF: known}) == expected


def test_a_coarser_period_is_no_way_out() -> None:
    """Its increment would come into the leaf, too, and branch there."""
    assert serve({LEAF: [], MONTH: [F, A]}, Calendar(), NOW, {LEAF: [F, A, B], MONTH: [F, A]}) == Serving(LEAF)
    assert serve({LEAF: [A], MONTH: [F, A]}, Calendar(), NOW) == Serving(LEAF)


HISTORY = st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=12)


@given(HISTORY, st.data())
def test_whatever_is_damaged_or_lost_what_is_made_next_never_branches(fulls: list[bool], data: st.DataObject) -> None:
    made: list[Increment] = []
    for number, full in enumerate(fulls, 1):
        made.append(Increment(None if full or not made else made[-1].end, number * 10))
    damaged = data.draw(st.sets(st.sampled_from(made)))
    lost = data.draw(st.sets(st.sampled_from(made)))
    known = {LEAF: {i for i in made if i not in lost}}
    whole = {LEAF: known[LEAF] - damaged}
    fresh = 0
    for step in range(4):
        now = NOW + step
        serving = serve(whole, Calendar(), now, known)
        fresh += serving.chain is None
        increment = Increment(serving.chain.end if serving.chain else None, now)
        assert increment.is_full or increment.start not in {i.start for i in known[LEAF]}
        for placement in commit(serving, increment):
            known.setdefault(placement.period, set()).update(placement.increments)
            whole.setdefault(placement.period, set()).update(placement.increments)
        assert chains(whole[LEAF]).holding(increment) is not None
    assert fresh <= 1  # one full is enough


def test_sound_chains_come_by_their_end() -> None:
    assert sound_chains([G, F, A, H], [F, A, G, H], NOW) == (Chain((F, A)), Chain((G, H)))
