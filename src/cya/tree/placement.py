"""Where things go: what is served to a client, where its increment is committed, what an old archive lacks.

The rules, in short (DESIGN.md has the reasons):

* *serve*: walk from the leaf of now towards the top to the first period that holds anything, the *base*; its newest
  chain that is sound is served. None there, or nothing anywhere: nothing is served, and the client makes a full.
* *commit*: an increment goes into the base and into every period between base and leaf. Those were empty, so they get
  the base's whole chain first: every period holds complete chains. A full goes into every period above the leaf.
* *adopt*: a period that knows an increment but lacks files of it gets them from another period that has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cya.tree.chain import Chain, Increment, chains
from cya.tree.levels import Calendar, Period, upwards

Tree = Mapping[Period, Iterable[Increment]]
"""The whole increments that each period's ``files/`` holds."""

FUTURE = 24 * 3600
"""A chain that ends more than this many seconds after now was made under a clock that ran wild: it is not continued,
or nothing could be backed up until that time comes. A smaller step back is waited out by the client."""


@dataclass(frozen=True)
class Serving:
    """What is served: the leaf of now, the period whose chain is continued, and that chain (both None: nothing)."""

    leaf: Period
    base: Period | None = None
    chain: Chain | None = None


@dataclass(frozen=True)
class Placement:
    """Increments that have to come into one period's ``files/``, oldest first."""

    period: Period
    increments: tuple[Increment, ...]


def serve(tree: Tree, calendar: Calendar, now: int, known: Tree | None = None) -> Serving:
    """Decide what to serve at ``now`` (seconds since the epoch).

    :param known: all increments of which anything lies in each period, whole or not. What is whole is known anyway.
    """
    leaf = calendar.leaf(now)
    for period in upwards(leaf):
        whole = frozenset(tree.get(period, ()))
        every = whole.union((known or {}).get(period, ()))
        if every:
            continued = [chain for chain in sound_chains(whole, every, now) if chain.end <= now + FUTURE]
            return Serving(leaf, period, continued[-1]) if continued else Serving(leaf)
    return Serving(leaf)


def sound_chains(whole: Iterable[Increment], known: Iterable[Increment], now: int) -> tuple[Chain, ...]:
    """Return the chains of a period that can be continued, by their end.

    A chain of which a later increment is damaged or lost is not: what is left of that one still lies there, so an
    increment on top of the part before it would be the second with the same start, and Duplicity would take either.
    Going up to a coarser period is no way out: its increments come into this one, too.

    :param whole: the increments that are whole in the period.
    :param known: all of which anything lies there.
    :param now: an increment without its base that ends more than :data:`FUTURE` after it says nothing about a chain.
    """
    found = chains(whole).chains
    owners: dict[int, Chain | None] = {i.end: chain for chain in found for i in chain.increments}
    rest = set(known).difference(*(chain.increments for chain in found))
    broken: set[Chain] = set()
    for increment in sorted(rest, key=lambda i: (i.end, i.start or 0)):
        owner: Chain | None = None
        if increment.start in owners:
            owner = owners[increment.start]
        elif increment.start is not None and increment.end <= now + FUTURE:
            # All between is gone. It most likely went on from what was the newest then.
            owner = next((chain for chain in reversed(found) if chain.end <= increment.start), None)
        owners.setdefault(increment.end, owner)
        if owner is not None and increment.end > owner.end:
            broken.add(owner)
    return tuple(chain for chain in found if chain not in broken)


def commit(serving: Serving, increment: Increment) -> tuple[Placement, ...]:
    """Decide where an increment that a client made on top of what was served goes; finest period first.

    :raises ValueError: when the increment does not start where the served chain ends, or not end after it.
    """
    path = tuple(upwards(serving.leaf))
    if increment.is_full:
        if serving.chain is not None and increment.end <= serving.chain.end:
            raise ValueError("it does not end after the chain that was served")
        return tuple(Placement(period, (increment,)) for period in path)
    if serving.chain is None or serving.base is None:
        raise ValueError("it is an increment, and no chain was served")
    if increment.start != serving.chain.end:
        raise ValueError("it does not start where the chain that was served ends")
    if increment.end <= increment.start:
        raise ValueError("it does not end after its start")
    whole = (*serving.chain.increments, increment)
    between = tuple(Placement(period, whole) for period in path if len(period) > len(serving.base))
    return (*between, Placement(serving.base, (increment,)))


@dataclass(frozen=True)
class Completion:
    """Names of files of one increment that ``period`` lacks and that ``source`` has."""

    period: Period
    source: Period
    names: tuple[bytes, ...]


def adopt(held: Mapping[Period, Mapping[Increment, frozenset[bytes]]]) -> tuple[Completion, ...]:
    """Find what is missing in some periods and can be had from others.

    The 2012 cya linked only the sigtars and manifests of a base chain into a new period, without the volumes, so that
    its weeks could not be restored on their own.

    :param held: names of the files of each increment in each period.
    """
    known: dict[Increment, list[tuple[Period, frozenset[bytes]]]] = {}
    for period in sorted(held, key=len):
        for increment, names in held[period].items():
            known.setdefault(increment, []).append((period, names))
    completions = []
    for period in sorted(held):
        for increment in sorted(held[period], key=lambda i: i.end):
            missing = frozenset[bytes]().union(*(names for _, names in known[increment])) - held[period][increment]
            for source, names in known[increment]:
                if found := missing & names:
                    completions.append(Completion(period, source, tuple(sorted(found))))
                    missing -= found
    return tuple(completions)
