"""The three ways in which Duplicity writes a time into a file name.

========  =============================  ==================================================================
current   ``20121202T000000Z``           UTC, in steps of a second
w3        ``2012-12-02T01:00:00+01:00``  ``--old-filenames``: local time and offset, ``Z`` in a zone at UTC
base 36   ``meeg00``                     ``--short-filenames``: seconds since the epoch
========  =============================  ==================================================================

Read from what duplicity 0.8.22 and 3.2.1 write and accept. Only what duplicity itself would write is read here: no
lower case, no leap second, no missing offset.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyz"

EARLIEST = -62_135_596_800
"""0001-01-01T00:00:00Z, in seconds since the epoch."""
LATEST = 253_402_300_799
"""9999-12-31T23:59:59Z, in seconds since the epoch."""

_CURRENT = re.compile(rb"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_W3 = re.compile(
    rb"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2})(?P<separator>[!-,.:-@\[-`{-~])([0-9]{2})(?P=separator)([0-9]{2})"
    rb"(?:Z|(?P<hours>[+-][0-9]{2})(?P=separator)(?P<minutes>[0-9]{2}))"
)
"""The separator is a colon, or what ``--time-separator`` was given: any sign but a dash (and no slash in a name)."""


@lru_cache(4096)  # a directory of a thousand volumes has two times
def time_to_name(time: int) -> bytes:
    """Write seconds since the epoch as ``YYYYmmddTHHMMSSZ``.

    :raises ValueError: outside of the years 0001 to 9999.
    """
    at = _calendar(time)
    return b"%04d%02d%02dT%02d%02d%02dZ" % (at.year, at.month, at.day, at.hour, at.minute, at.second)


@lru_cache(4096)
def time_from_name(text: bytes) -> int:
    """Read ``YYYYmmddTHHMMSSZ`` as seconds since the epoch.

    :raises ValueError: when it is not written exactly so, or is not in the calendar (30 February, 24:00:00, 23:59:60).
    """
    found = _CURRENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time YYYYmmddTHHMMSSZ")
    return _seconds(text, *map(int, found.groups()))


@dataclass(frozen=True, slots=True)
class LocalTime:
    """A time as ``--old-filenames`` writes it.

    :ivar time: seconds since the epoch.
    :ivar offset: minutes that the local clock was ahead of UTC.
    :ivar separator: one byte, between hours, minutes and seconds.
    """

    time: int
    offset: int
    separator: bytes


def local_time_to_name(local: LocalTime) -> bytes:
    """Write a local time and its offset.

    West of Greenwich duplicity rounds the hours of the offset down and adds the minutes: it writes two and a half
    hours behind UTC as ``-03:30``, and reads that as it was meant. So does this.

    :raises ValueError: when the time or the local time is outside of the years 0001 to 9999, or the offset or the
        separator cannot be.
    """
    hours, minutes = divmod(local.offset, 60)
    if not -23 <= hours <= 23:
        raise ValueError(f"an offset of {local.offset} minutes is not less than a day")
    _calendar(local.time)
    at = _calendar(local.time + 60 * local.offset)
    zone = b"%c%02d%s%02d" % (b"+-"[local.offset < 0], abs(hours), local.separator, minutes) if local.offset else b"Z"
    text = b"%04d-%02d-%02dT%02d%s%02d%s%02d%s" % (
        *(at.year, at.month, at.day),
        *(at.hour, local.separator, at.minute, local.separator, at.second),
        zone,
    )
    if _W3.fullmatch(text) is None:
        raise ValueError(f"{local.separator!r} cannot separate hours and minutes in a file name")
    return text


def local_time_from_name(text: bytes) -> LocalTime:
    """Read a local time with its offset; the inverse of :func:`local_time_to_name`.

    :raises ValueError: when it is not written so, or is not in the calendar.
    """
    found = _W3.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time YYYY-mm-ddTHH:MM:SS with its offset")
    year, month, day, hour, _, minute, second = found.groups()[:7]
    offset = 60 * int(found["hours"] or 0) + int(found["minutes"] or 0)
    clock = _seconds(text, int(year), int(month), int(day), int(hour), int(minute), int(second))
    return LocalTime(clock - 60 * offset, offset, found["separator"])


def to_base36(number: int) -> bytes:
    """Write a number with the digits 0-9a-z.

    :raises ValueError: when it is negative.
    """
    if number < 0:
        raise ValueError(f"{number} is negative and cannot be written in base 36")
    digits = bytearray()
    while number or not digits:
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return bytes(reversed(digits))


def _calendar(time: int) -> datetime:
    if not EARLIEST <= time <= LATEST:
        raise ValueError(f"{time} seconds since the epoch is outside of the years 0001 to 9999")
    return _EPOCH + timedelta(seconds=time)


def _seconds(text: bytes, *fields: int) -> int:
    year, month, day, hour, minute, second = fields
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text!r} is not in the calendar: {error}") from None
    return (at - _EPOCH) // _SECOND
