"""How large increments are, before there is any: a model of how data change."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 86400


@dataclass(frozen=True)
class Data:
    """What is backed up, in bytes as stored: after compression.

    :ivar size: of all of it at the first backup.
    :ivar change: the share that changes within a day; from 0 to 1.
    :ivar hot: the share that these changes fall on, again and again; from more than 0 to 1.
    :ivar growth: bytes that come to it in a day, and stay.
    """

    size: float
    change: float = 0.0
    hot: float = 1.0
    growth: float = 0.0

    def full(self, days: float) -> float:
        """Return the size of a full backup so many days after the first."""
        return self.size + self.growth * days

    def increment(self, days: float, span: float) -> float:
        """Return the size of an increment.

        What changes on two days is in an increment over both only once. A piece of the hot share changes within a day
        with the probability ``change / hot``; so the share ``hot * (1 - (1 - change / hot) ** span)`` of all has
        changed within ``span`` days, and at most that share.

        :param days: from the first backup to the end of the increment.
        :param span: days from its start to its end.
        """
        before = self.full(days - span)
        chance = min(1.0, self.change / self.hot)
        changed = 1 - float((1 - chance) ** span)
        return self.growth * span + before * self.hot * changed
