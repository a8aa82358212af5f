"""Which chains of a directory are not needed beside a newer one.

A coarse directory holds the first backup of each finer period within it: a month those of its weeks. With one chain
that is all it holds. Each further full starts a chain there, too, and would stay for as long as the directory does,
which for a century is for ever. So of several chains those stay that hold the first backup of some finer period, and
the newest, which is continued; what else was backed up lies in finer directories for as long as these are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cya.tree.chain import Chain
from cya.tree.levels import Calendar, Period
from cya.tree.placement import FUTURE


def superseded(found: Sequence[Chain], calendar: Calendar, depth: int, now: int) -> Iterator[tuple[Chain, str]]:
    """Yield the chains of a directory that are not needed, and why.

    :param found: its chains, all of them whole.
    :param depth: of the directory; 1 is the coarsest.
    :param now: seconds since the epoch; a chain that ends later was made under a clock that ran wild, and stays.
    """
    sane = [chain for chain in found if chain.end <= now + FUTURE]
    if len(sane) < 2:
        return
    first: dict[Period, tuple[int, Chain]] = {}
    for chain in sane:
        for increment in chain.increments:
            child = calendar.leaf(increment.end)[: depth + 1]
            if child not in first or increment.end < first[child][0]:
                first[child] = (increment.end, chain)
    needed = {chain for _, chain in first.values()} | set(sane[-1:])
    for chain in sane:
        if chain not in needed:
            yield chain, f"superseded by a newer full, and holds the first backup of no {calendar.levels[depth]}"
