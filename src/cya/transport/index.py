"""``outgoing/index.json``: which backups an archive has of a client, where the root's settings let it tell."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from cya.transport.loan import check_times


class Listed(msgspec.Struct, frozen=True):
    """A backup.

    :ivar time: its end.
    :ivar levels: those that hold it, the finest first.
    :ivar chain_length: of how many increments it is restored; None: it cannot be, something of it is missing.
    """

    time: Annotated[datetime, msgspec.Meta(tz=True)]
    kind: Literal["full", "inc"]
    levels: tuple[Annotated[str, msgspec.Meta(pattern="^[a-z]{1,20}$")], ...]
    chain_length: int | None


class Index(msgspec.Struct, frozen=True):
    """What stands in ``index.json``, backups oldest first. Later versions may say more."""

    backups: tuple[Listed, ...]
    version: int = 1


def encode(index: Index) -> bytes:
    """Return the index as JSON."""
    return msgspec.json.format(msgspec.json.encode(index)) + b"\n"


def decode(data: bytes) -> Index:
    """Read an index.

    :raises ValueError: when it is not one, or of a version that is not known.
    """
    try:
        index = msgspec.json.decode(data, type=Index)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    if index.version != 1:
        raise ValueError(f"version {index.version} is not known")
    check_times(each.time for each in index.backups)
    return index
