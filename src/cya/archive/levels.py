"""Which levels of its tree hold a backup."""

from __future__ import annotations

from cya.catalog import Backup
from cya.tree import layout
from cya.tree.levels import Calendar, Period


def levels_of(backup: Backup, calendar: Calendar) -> list[str]:
    """Return the levels that hold a backup, the finest first."""
    return list(
        dict.fromkeys(level_of(directory.period, calendar) for directory in backup.directories if directory.period)
    )


def level_of(period: Period, calendar: Calendar) -> str:
    """Return a period's level; after the root's levels were changed it may have none, and is named itself."""
    return calendar.level(period) if len(period) <= len(calendar.levels) else layout.directory(period)
