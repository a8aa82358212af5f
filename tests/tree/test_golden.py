"""Golden listings of simulated trees: one file a case in ``golden/``, readable by an administrator.

A line is a period, the lengths of its chains, and the backups that it holds: F is a full, + an increment. To make them
anew after a wanted change: ``CYA_UPDATE_GOLDEN=1 pytest tests/tree/test_golden.py``, and read the difference.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cya.tree.levels import Calendar
from tests.tree.model import TreeModel, every

GOLDEN = Path(__file__).parent / "golden"
DAY, WEEK, HOUR = timedelta(days=1), timedelta(weeks=1), timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(start: str, end: str) -> Iterator[datetime]:
    return every(DAY, at(start), at(end))


def irregular(seed: int, start: str, end: str) -> Iterator[datetime]:
    """Backups every few days, now and then none for months, once for three years."""
    chance = random.Random(seed)
    moment, stop = at(start), at(end)
    for number in range(10_000):
        if moment >= stop:
            return
        yield moment
        days = 3 * 365 if number == 60 else 150 if number % 25 == 24 else chance.choice([1, 1, 1, 2, 3, 9])
        moment += timedelta(days=days, hours=chance.randrange(24))


def clock_steps(*steps: tuple[str, str]) -> Iterator[datetime]:
    for start, end in steps:
        yield from daily(start, end)


WITH_DAY = ("century", "decade", "year", "month", "week", "day")
CASES: dict[str, Callable[[], TreeModel]] = {
    "first-week-of-2012": lambda: TreeModel(Calendar()).run(daily("2012-12-04", "2012-12-12")),
    "daily-one-year": lambda: TreeModel(Calendar()).run(daily("2012-12-04", "2013-12-04")),
    "daily-two-decades": lambda: TreeModel(Calendar()).run(daily("2012-12-04", "2032-12-04")),
    "weekly-thirty-years": lambda: TreeModel(Calendar()).run(every(WEEK, at("1995-06-01"), at("2025-06-01"))),
    "hourly-with-day-six-weeks": lambda: TreeModel(Calendar(WITH_DAY)).run(
        every(HOUR, at("2024-02-10"), at("2024-03-24"))
    ),
    "hourly-without-day": lambda: TreeModel(Calendar()).run(every(HOUR, at("2024-12-27"), at("2025-01-07"))),
    "irregular-with-gaps": lambda: TreeModel(Calendar()).run(irregular(7, "2003-05-01", "2017-01-01")),
    "clock-one-day-back": lambda: TreeModel(Calendar()).run(
        clock_steps(("2020-03-02", "2020-03-12"), ("2020-03-10", "2020-03-20"))
    ),
    "clock-three-weeks-back": lambda: TreeModel(Calendar()).run(
        clock_steps(("2020-03-02", "2020-03-30"), ("2020-03-09", "2020-04-12"))
    ),
    "clock-fifty-years-ahead-once": lambda: TreeModel(Calendar()).run(
        clock_steps(("2020-03-02", "2020-03-12"), ("2070-03-12", "2070-03-13"), ("2020-03-12", "2030-03-01"))
    ),
    "leap-years": lambda: TreeModel(Calendar(("year", "month", "day"))).run(
        [at(f"{year}-{day}") for year in (1999, 2000, 2004, 2100) for day in ("02-27", "02-28", "03-01", "12-31")]
        + [at(f"{year}-02-29") for year in (2104, 2108)]
    ),
    "dst-berlin": lambda: TreeModel(Calendar(("month", "week", "day"), zone=ZoneInfo("Europe/Berlin"))).run(
        [
            *every(HOUR, at("2024-03-30T20:00"), at("2024-03-31T05:00")),
            *every(HOUR, at("2024-10-26T20:00"), at("2024-10-27T05:00")),
        ]
    ),
    "zone-kiritimati-is-a-day-ahead": lambda: TreeModel(Calendar(zone=ZoneInfo("Pacific/Kiritimati"))).run(
        every(timedelta(hours=5), at("2024-12-27"), at("2025-01-02"))
    ),
    "week-over-new-year": lambda: TreeModel(Calendar()).run(daily("2012-12-28", "2013-01-09")),
    "week-over-new-year-monday": lambda: TreeModel(Calendar(week_start="monday")).run(
        daily("2012-12-28", "2013-01-09")
    ),
    "decade-turn": lambda: TreeModel(Calendar()).run(daily("2019-12-20", "2020-01-20")),
    "century-turn": lambda: TreeModel(Calendar()).run(daily("2099-12-20", "2100-01-20")),
    "year-month-week-begins-with-a-full": lambda: TreeModel(Calendar(("year", "month", "week"))).run(
        daily("2019-11-20", "2021-02-01")
    ),
    "only-weeks": lambda: TreeModel(Calendar(("week",))).run(daily("2021-03-01", "2021-04-01")),
}


@pytest.mark.parametrize("case", CASES)
def test_golden_tree(case: str) -> None:
    listing = CASES[case]().listing()
    file = GOLDEN / f"{case}.txt"
    if os.environ.get("CYA_UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(listing)
    assert listing == file.read_text()


def test_every_golden_file_belongs_to_a_case() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)
