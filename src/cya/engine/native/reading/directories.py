"""Gives directories their attributes, after all that lies in them: the deepest first."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Protocol

import msgspec

from cya.engine.native.reading import runs
from cya.engine.native.reading.outcome import MADE
from cya.engine.native.reading.target import Target
from cya.engine.native.reading.trouble import told
from cya.format.tar_reader import Member


class Losing(Protocol):
    """Takes note of what is lost."""

    lost: dict[bytes, str]


def dress(found: Sequence[Path], made: Sequence[Path], target: Target, losing: Losing, *, keep: bool) -> Member | None:
    """Give all directories of a restore their attributes, but not the destination: return what those should be.

    :param found: runs of those in the backup.
    :param made: runs of those that were made. What of these lies above the paths that are restored gets the usual mode.
    :param keep: those that were there stay as they are.
    """
    former = os.umask(0)
    os.umask(former)
    decoder = msgspec.msgpack.Decoder(Member)
    for key, values in _backwards(found, made):
        is_made = any(value == MADE for value in values)
        entry = next((value for value in values if value != MADE), None)
        if not key:
            return decoder.decode(entry[1:]) if entry is not None and not keep else None
        if keep and not is_made:
            continue
        try:
            if entry is not None:
                target.dress_directory(key, decoder.decode(entry[1:]))
            else:
                target.default_directory(key, 0o777 & ~former)
        except OSError as error:
            losing.lost.setdefault(key, told(error))
    return None


def _backwards(found: Sequence[Path], made: Sequence[Path]) -> Iterator[tuple[bytes, list[bytes]]]:
    streams = [runs.merged_backwards(found), runs.merged_backwards(made)]
    for key, records in groupby(heapq.merge(*streams, key=itemgetter(0), reverse=True), key=itemgetter(0)):
        yield key, [value for _, value in records]
