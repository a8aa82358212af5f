"""A tree that lives in memory: the pure rules, applied over simulated time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from cya.tree.chain import Increment, chains
from cya.tree.levels import Calendar, Period
from cya.tree.placement import Serving, commit, serve


class TreeModel:
    """Backups are served and committed at given moments; nothing is ever written."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.tree: dict[Period, set[Increment]] = {}
        self.refused: list[int] = []

    def backup(self, now: int, *, full: bool = False) -> Serving:
        """Serve at ``now``, let the client make its increment there and then, and commit it.

        A client refuses to run while its clock stands before the chain that it was served, as the real one does.
        """
        serving = serve(self.tree, self.calendar, now)
        if serving.chain is not None and now <= serving.chain.end:
            self.refused.append(now)
            return serving
        start = None if full or serving.chain is None else serving.chain.end
        for placement in commit(serving, Increment(start, now)):
            self.tree.setdefault(placement.period, set()).update(placement.increments)
        return serving

    def run(self, moments: Iterable[datetime]) -> TreeModel:
        for moment in moments:
            self.backup(int(moment.timestamp()))
        return self

    def remove(self, period: Period) -> None:
        """Delete a period's directory with all that lies in it."""
        for other in [p for p in self.tree if p[: len(period)] == period]:
            del self.tree[other]

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
