"""``cya list --calendar``: which days can be restored, as pages of a calendar."""

from __future__ import annotations

import calendar
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from rich.console import Console
from rich.markup import escape

from cya import clock
from cya.catalog import Catalog
from cya.tree.levels import Calendar

_WIDTH = 27
"""Of a month: seven days of three columns and a mark, less one."""
_GAP = "   "
_MOST = 4
"""Months side by side."""

Days = Mapping[date, "Day"]


class Day:
    """A day with backups: how many can be restored, and how many cannot."""

    def __init__(self) -> None:
        self.whole: list[int] = []
        self.damaged: list[int] = []

    @property
    def mark(self) -> str:
        """What stands behind the day: ``*`` for one backup, ``+`` for several, ``!`` where none can be restored."""
        return "!" if not self.whole else "+" if len(self.whole) > 1 else "*"


def days(found: Catalog, zone: tzinfo) -> dict[date, Day]:
    """Return the days on which backups were made, oldest first.

    :param zone: in which days begin.
    """
    seen: dict[date, Day] = {}
    for backup in found.backups:
        day = seen.setdefault(datetime.fromtimestamp(backup.increment.end, UTC).astimezone(zone).date(), Day())
        (day.whole if backup.chain is not None else day.damaged).append(backup.increment.end)
    return dict(sorted(seen.items()))


def facts(found: Catalog, levels: Calendar) -> list[dict[str, Any]]:
    """Return the days for programs."""
    return [
        {
            "day": day.isoformat(),
            "backups": [clock.iso(end) for end in each.whole],
            "damaged": [clock.iso(end) for end in each.damaged],
        }
        for day, each in days(found, levels.zone).items()
    ]


def show(found: Catalog, levels: Calendar) -> None:
    """Print the months in which something was backed up; what lies between them in a line."""
    console = Console(highlight=False, soft_wrap=True)
    across = max(1, min(_MOST, (_columns() + len(_GAP)) // (_WIDTH + len(_GAP))))
    for line in lines(days(found, levels.zone), levels, across):
        console.print(line)


def _columns() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 3 * _WIDTH + 2 * len(_GAP)


def lines(seen: Days, tree: Calendar, across: int) -> Iterator[str]:
    """Yield lines in Rich's markup.

    :param across: months side by side.
    """
    before: date | None = None
    for run in _runs(sorted({day.replace(day=1) for day in seen})):
        if before is not None:
            yield f"[dim]nothing from {_name(_step(before, 1))} to {_name(_step(run[0], -1))}[/dim]"
            yield ""
        before = run[-1]
        for first in range(0, len(run), across):
            pages = [_page(month, seen, tree) for month in run[first : first + across]]
            for row in range(max(map(len, pages))):
                yield _GAP.join(page[row] if row < len(page) else " " * _WIDTH for page in pages).rstrip()
            yield ""
    whole = sum(bool(day.whole) for day in seen.values())
    yield f"{whole} days can be restored: * one backup, + several, ! only damaged ones"


def _runs(months: list[date]) -> Iterator[list[date]]:
    """Yield months that follow each other, together."""
    run: list[date] = []
    for month in months:
        if run and _step(run[-1], 1) != month:
            yield run
            run = []
        run.append(month)
    if run:
        yield run


def _page(month: date, seen: Days, tree: Calendar) -> list[str]:
    """Return a month's lines, all equally wide but for markup."""
    pages = calendar.Calendar(calendar.SUNDAY if tree.week_start == "sunday" else calendar.MONDAY)
    names = [calendar.day_abbr[day][:2] for day in pages.iterweekdays()]
    margin = " " * ((_WIDTH - len(_name(month))) // 2)
    page = [f"{margin}[bold]{_name(month)}[/bold]{margin}", " ".join(f"{name} " for name in names).ljust(_WIDTH)]
    for week in pages.monthdatescalendar(month.year, month.month):
        cells = [_cell(day, seen) if day.month == month.month else "   " for day in week]
        page.append(" ".join(cells) + " " * (_WIDTH - 4 * 7 + 1))
    return page


def _cell(day: date, seen: Days) -> str:
    found = seen.get(day)
    if found is None:
        return f"[dim]{day.day:2}[/dim] "
    colour = "red" if found.mark == "!" else "bold green"
    return f"[{colour}]{day.day:2}{escape(found.mark)}[/{colour}]"


def _name(month: date) -> str:
    return f"{month:%Y-%m}"


def _step(month: date, months: int) -> date:
    return (month + timedelta(days=31 if months > 0 else -1)).replace(day=1)
