"""The one source of "now", and the times that people type.

Nothing else in cya asks the system for the time of day: verbs call :func:`now` once and hand the result down, so that
years can be simulated with ``--now T`` or ``CYA_NOW``. Times are aware datetimes, whole seconds, in UTC, because
Duplicity's file names hold UTC with one-second steps.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cya.errors import UsageError

_AGO = re.compile(r"(?:\d+[smhDWMY])+")
_AGO_PART = re.compile(r"(\d+)([smhDWMY])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "D": timedelta(days=1),
    "W": timedelta(weeks=1),
    "M": timedelta(days=30),
    "Y": timedelta(days=365),
}
EXPECTED = "expected 2026-11-23, 2026-11-23T02:00, 2026-11-23T02:00:00Z, now, or an age such as 3D or 2W12h"


def now(forced: str | None = None, environ: Mapping[str, str] = os.environ) -> datetime:
    """Return the time that this run takes for now, in UTC, cut to whole seconds.

    :param forced: what ``--now`` gave; wins over ``CYA_NOW`` in the environment, which wins over the system's clock.
    :raises UsageError: when the forced time cannot be read.
    """
    text = forced or environ.get("CYA_NOW")
    system = datetime.now(UTC).replace(microsecond=0)
    return parse(text, system) if text else system


def parse(text: str, now: datetime, *, end_of_day: bool = False) -> datetime:
    """Read a time that a person typed, and return it in UTC.

    :param text: ``now``; an age before now in Duplicity's units (s, m, h, D, W, M of 30 days, Y of 365 days); or
        ISO 8601. Without an offset it is in the local time zone (``TZ``).
    :param end_of_day: a date alone means its last second instead of its first: "as it was on that day".
    :raises UsageError: when the text is none of these.
    """
    text = text.strip()
    if text == "now":
        return now
    try:
        if _AGO.fullmatch(text):
            return now - sum((int(n) * _UNITS[unit] for n, unit in _AGO_PART.findall(text)), timedelta())
        moment = datetime.fromisoformat(text).replace(microsecond=0)
        if end_of_day and "T" not in text and " " not in text:
            moment = moment.replace(hour=23, minute=59, second=59)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{text!r} is not a time: {EXPECTED}") from error


def iso(moment: datetime | int) -> str:
    """Return a time (or seconds since the epoch) as ISO 8601 in UTC: ``2026-11-23T02:00:00Z``."""
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(moment: datetime | int) -> str:
    """Return a time (or seconds since the epoch) for people, in the local time zone, as :func:`parse` reads it."""
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.astimezone().isoformat(timespec="seconds")
