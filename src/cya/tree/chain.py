"""Chains: a full backup followed by increments, each starting where the one before ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Increment(NamedTuple):
    """One backup, known by its times in seconds since the epoch. ``start`` is None for a full."""

    start: int | None
    end: int

    @property
    def is_full(self) -> bool:
        """Whether this begins a chain."""
        return self.start is None


@dataclass(frozen=True)
class Chain:
    """A full and the increments on top of it, oldest first; never empty."""

    increments: tuple[Increment, ...]

    @property
    def end(self) -> int:
        """End time of the last increment: where the next one starts."""
        return self.increments[-1].end

    def __len__(self) -> int:
        return len(self.increments)

    def up_to(self, increment: Increment) -> Chain:
        """Return the part of the chain that is needed to restore one of its increments."""
        return Chain(self.increments[: self.increments.index(increment) + 1])


@dataclass(frozen=True)
class Chains:
    """What a set of increments makes up: chains by their end time, and increments whose base is not there."""

    chains: tuple[Chain, ...]
    orphans: tuple[Increment, ...]

    def holding(self, increment: Increment) -> Chain | None:
        """Return the chain up to and with ``increment``, if there is one."""
        for chain in self.chains:
            if increment in chain.increments:
                return chain.up_to(increment)
        return None


def chains(increments: Iterable[Increment]) -> Chains:
    """Join increments to chains.

    Of two increments that start at the same end, the one that ends first goes on and the other is an orphan, as it is
    for Duplicity: within one directory a chain has no branches.
    """
    open_chains: list[list[Increment]] = []
    orphans: list[Increment] = []
    for increment in sorted(set(increments), key=lambda i: (i.end, i.start is not None, i.start or 0)):
        if increment.is_full:
            open_chains.append([increment])
            continue
        for chain in reversed(open_chains):
            if chain[-1].end == increment.start:
                chain.append(increment)
                break
        else:
            orphans.append(increment)
    found = sorted((Chain(tuple(chain)) for chain in open_chains), key=lambda c: c.end)
    return Chains(tuple(found), tuple(orphans))
