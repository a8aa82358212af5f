"""Does a directory's name stand for a period that the calendar has? Pure."""

from __future__ import annotations

import re
from datetime import datetime

from cya.tree.levels import Calendar, Period

_NAME = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)


def fits(calendar: Calendar, period: Period) -> bool:
    """Tell whether backups can have come into a period: whether some moment lies in it.

    >>> fits(Calendar(), ("2000", "2010", "2012", "2012-12", "2012-12-02"))
    True
    >>> fits(Calendar(), ("2000", "2010", "2012", "2012-12", "2012-12-03"))  # a Monday; weeks begin on Sundays
    False
    """
    read = _NAME.fullmatch(period[-1])
    if read is None or len(period) > len(calendar.levels):
        return False
    year, month, day = (int(part) if part else None for part in read.groups())
    try:
        # The week that holds the eighth begins in the same month. Noon is a time of every day in every zone.
        moment = datetime(year or 0, month or 1, day or 8, 12, tzinfo=calendar.zone)
        return calendar.leaf(int(moment.timestamp()))[: len(period)] == period
    except (ValueError, OverflowError, OSError):
        return False
