"""Levels and the calendar: from a moment to the periods of the tree that it belongs to.

A *level* is a time scale; a *period* is one span of a level. A period is written as the names from the coarsest level
down to its own, which is also its directory below ``backups/``::

    ("2000", "2010", "2012", "2012-12", "2012-12-02")    the week that begins on Sunday 2012-12-02

Where the tree has weeks, every coarser name is that of the week's first day, so that a week lies in exactly one
month, year, decade and century: 2013-01-05 lies in ``2000/2010/2012/2012-12/2012-12-30``. A day has its own date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal

Period = tuple[str, ...]
WeekStart = Literal["sunday", "monday"]

_NAMES: dict[str, Callable[[date], str]] = {
    "century": lambda day: f"{day.year - day.year % 100:04d}",
    "decade": lambda day: f"{day.year - day.year % 10:04d}",
    "year": lambda day: f"{day.year:04d}",
    "month": lambda day: f"{day.year:04d}-{day.month:02d}",
    "week": lambda day: day.isoformat(),
    "day": lambda day: day.isoformat(),
}
ALL_LEVELS = tuple(_NAMES)
DEFAULT_LEVELS = ("century", "decade", "year", "month", "week")


def check_levels(levels: tuple[str, ...]) -> None:
    """Refuse a sequence of levels that is empty, names an unknown level, or does not go from coarse to fine.

    :raises ValueError: with what is expected.
    """
    for level in levels:
        if level not in _NAMES:
            raise ValueError(f"there is no level {level!r}; the levels are {', '.join(ALL_LEVELS)}")
    ranks = [ALL_LEVELS.index(level) for level in levels]
    if not ranks or any(finer <= coarser for coarser, finer in pairwise(ranks)):
        raise ValueError(f"expected one or more of {', '.join(ALL_LEVELS)}, each once, from coarse to fine")


@dataclass(frozen=True)
class Calendar:
    """The levels of a tree and how dates are cut into them.

    :ivar levels: names of levels, coarse to fine.
    :ivar week_start: the first day of a week.
    :ivar zone: the archive's time zone, in which days begin; never the client's.
    :raises ValueError: for levels that :func:`check_levels` refuses.
    """

    levels: tuple[str, ...] = DEFAULT_LEVELS
    week_start: WeekStart = "sunday"
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        check_levels(self.levels)

    def leaf(self, moment: int) -> Period:
        """Return the finest period that a moment (seconds since the epoch) lies in."""
        day = datetime.fromtimestamp(moment, self.zone).date()
        first = day - timedelta(days=self._since_start(day)) if "week" in self.levels else day
        return tuple(_NAMES[level](day if level == "day" else first) for level in self.levels)

    def span(self, period: Period) -> tuple[int, int]:
        """Return when a period begins and ends (the first moment that is not in it), in seconds since the epoch.

        :raises ValueError: when no moment of this calendar lies in it, as after the levels were changed.
        """
        level = self.level(period)
        try:
            begin, end = self._dates(level, date.fromisoformat((period[-1] + "-01-01")[:10]))
            if self.leaf(self._moment(begin))[: len(period)] == period:
                return self._moment(begin), self._moment(end)
        except (ValueError, OverflowError, OSError):
            pass
        raise ValueError(f"{'/'.join(period)} is not a period of the levels {', '.join(self.levels)}")

    def has(self, period: Period) -> bool:
        """Tell whether backups can come into a period: whether some moment lies in it.

        >>> Calendar().has(("2000", "2010", "2012", "2012-12", "2012-12-02"))
        True
        >>> Calendar().has(("2000", "2010", "2012", "2012-12", "2012-12-03"))  # a Monday; weeks begin on Sundays
        False
        """
        try:
            self.span(period)
        except ValueError:
            return False
        return True

    def _dates(self, level: str, first: date) -> tuple[date, date]:
        """Return the first day of a period of a level, and the first day of the next, ``first`` being in its name."""
        if level == "day":
            return first, first + timedelta(days=1)
        if level == "week":
            return first, first + timedelta(days=7)
        months = {"month": 1, "year": 12, "decade": 120, "century": 1200}[level]
        after = first.year * 12 + first.month - 1 + months
        return self._first(first), self._first(date(after // 12, after % 12 + 1, 1))

    def _first(self, day: date) -> date:
        """Return the first day of the first week that begins on a day or later; without weeks, the day."""
        return day + timedelta(days=-self._since_start(day) % 7) if "week" in self.levels else day

    def _since_start(self, day: date) -> int:
        """Return how many days ago the week of a day has begun."""
        return day.isoweekday() % 7 if self.week_start == "sunday" else day.weekday()

    def _moment(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def level(self, period: Period) -> str:
        """Return the name of a period's level.

        :raises ValueError: when the period is deeper than the calendar.
        """
        if not 1 <= len(period) <= len(self.levels):
            raise ValueError(f"{'/'.join(period)} is not a period of the levels {', '.join(self.levels)}")
        return self.levels[len(period) - 1]


def plural(level: str) -> str:
    """Return the name of several periods of a level: ``centuries``, ``weeks``."""
    return f"{level[:-1]}ies" if level.endswith("y") and level != "day" else f"{level}s"


def upwards(leaf: Period) -> Iterator[Period]:
    """Yield a period and all that it lies in, from fine to coarse."""
    for depth in range(len(leaf), 0, -1):
        yield leaf[:depth]
