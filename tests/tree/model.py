"""The tree that lives in memory, and listings of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from cya.tree.chain import Increment, chains
from cya.tree.levels import Calendar
from cya.tree.placement import Serving
from cya.tree.simulation import Simulation


class TreeModel(Simulation):
    """Keeps in mind which backups a client refused to make, and tells what lies where.

    :ivar refused: when the clock stood before what was served.
    """

    def __init__(self, calendar: Calendar) -> None:
        super().__init__(calendar)
        self.refused: list[int] = []

    def backup(self, now: int, *, full: bool = False) -> Serving | None:
        serving = super().backup(now, full=full)
        if serving is None:
            self.refused.append(now)
        return serving

    def run(self, moments: Iterable[datetime]) -> TreeModel:
        for moment in moments:
            self.backup(int(moment.timestamp()))
        return self

    def listing(self) -> str:
        """A line for each period: its directory, the number of increments, and the days of the chain, oldest first.

        Runs of more than four increments are shortened to the first two and the last two.
        """
        lines = []
        for period in sorted(self.tree):
            found = chains(self.tree[period])
            parts = []
            for chain in found.chains:
                names = [_name(increment) for increment in chain.increments]
                parts.append(" ".join(names if len(names) <= 4 else [*names[:2], "…", *names[-2:]]))
            orphans = f"  ORPHANS {len(found.orphans)}" if found.orphans else ""
            lengths = "+".join(str(len(chain)) for chain in found.chains)
            lines.append(f"{'/'.join(period)}  {lengths}  {' | '.join(parts)}{orphans}")
        refused = [f"refused  {_name(Increment(0, moment))[1:]}" for moment in self.refused]
        return "\n".join(lines + refused) + "\n"


def _name(increment: Increment) -> str:
    moment = datetime.fromtimestamp(increment.end, UTC)
    text = moment.strftime("%Y-%m-%d") if moment.hour + moment.minute == 0 else moment.strftime("%Y-%m-%dT%H:%M")
    return ("F" if increment.is_full else "+") + text


def every(step: timedelta, start: datetime, end: datetime) -> Iterator[datetime]:
    """Moments from ``start`` up to and without ``end``."""
    while start < end:
        yield start
        start += step
