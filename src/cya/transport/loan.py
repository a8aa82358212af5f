"""``LOAN.json``: what the archive tells a client of a chain that it lends, beside the files in ``outgoing/LOAN``.

It comes and goes with the directory, and is replaced when the loan is extended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,3})?", re.ASCII)

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Step(msgspec.Struct, frozen=True):
    """An increment of the chain; ``start`` is None for a full."""

    start: Time | None
    end: Time


class Note(msgspec.Struct, frozen=True):
    """What stands in ``LOAN.json``. Later versions may say more.

    :ivar time: the end of the backup that can be restored from it.
    :ivar expires: from then on it is taken away, at the archive's next collect.
    :ivar chain: the increments whose files are there, oldest first.
    """

    time: Time
    expires: Time
    chain: tuple[Step, ...]
    version: int = 1


def is_loan(name: str) -> bool:
    """Tell whether a name in ``outgoing/`` is a loan's: the time of a backup, ``20260302T030000Z``, or that and -2."""
    return _NAME.fullmatch(name) is not None


def encode(note: Note) -> bytes:
    """Return the note as JSON."""
    return msgspec.json.format(msgspec.json.encode(note)) + b"\n"


def decode(data: bytes) -> Note:
    """Read a note.

    :raises ValueError: when it is not one, or of a version that is not known.
    """
    try:
        note = msgspec.json.decode(data, type=Note)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if note.version != 1:
        raise ValueError(f"version {note.version} is not known")
    check_times((note.time, note.expires, *(time for step in note.chain for time in (step.start, step.end) if time)))
    return note


def check_times(times: Iterable[datetime]) -> None:
    """Refuse times that no backup has, and that cannot be shown in every time zone.

    :raises ValueError: names one.
    """
    for time in times:
        if not 1970 <= time.year < 3000:
            raise ValueError(f"there are no backups of {time.isoformat()}")
