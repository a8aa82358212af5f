"""A tree that lives in memory: the rules of serving, committing and pruning, over simulated time."""

from __future__ import annotations

from cya.tree.chain import Increment
from cya.tree.levels import Calendar, Period
from cya.tree.placement import Serving, commit, serve
from cya.tree.retention import Policy, Retention, retain


class Simulation:
    """Backups are served, made, committed and pruned at given moments; nothing is ever written.

    :ivar tree: the increments of each period.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.tree: dict[Period, set[Increment]] = {}

    def backup(self, now: int, *, full: bool = False) -> Serving | None:
        """Serve at ``now`` (seconds since the epoch), let the client make its increment there and then, and commit it.

        :return: what was served; None where the client refused, since its clock stands before what it was served.
        """
        serving = serve(self.tree, self.calendar, now)
        if serving.chain is not None and now <= serving.chain.end:
            return None
        self.commit(serving, Increment(None if full or serving.chain is None else serving.chain.end, now))
        return serving

    def commit(self, serving: Serving, increment: Increment) -> None:
        """Commit an increment that a client has made, whatever time it says.

        :raises ValueError: when it does not go on from what was served.
        """
        for placement in commit(serving, increment):
            self.tree.setdefault(placement.period, set()).update(placement.increments)

    def remove(self, period: Period) -> None:
        """Delete a period's directory with all that lies in it."""
        for other in [p for p in self.tree if p[: len(period)] == period]:
            del self.tree[other]

    def prune(self, policy: Policy, now: int, in_use: Serving | None = None) -> Retention:
        """Delete what does not stay; return what became of everything."""
        decided = retain(self.tree, self.calendar, policy, now, in_use=in_use)
        for verdict in decided.going:
            if verdict.chain is None:
                self.remove(verdict.period)
            else:
                self.tree[verdict.period].difference_update(verdict.chain.increments)
        return decided
