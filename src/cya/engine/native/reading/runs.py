"""Sorted runs: records by key in files, so that no number of paths has to fit into memory.

A record is a key and a value of any bytes; in a file keys never go back. Several files are read together in order,
forwards or backwards.
"""

from __future__ import annotations

import heapq
import os
from array import array
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from struct import Struct

_HEAD = Struct("<II")
_BUFFER = 1 << 16
_MOST_OPEN = 64
"""Runs that are read side by side; more are first made fewer."""

Record = tuple[bytes, bytes]


class RunWriter:
    """Writes one run; the file is made with the first record."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[bytes] = []
        self._size = 0
        self._made = False

    def add(self, key: bytes, value: bytes) -> None:
        """Add a record, whose key must not be before the last one's."""
        self._waiting += (_HEAD.pack(len(key), len(value)), key, value)
        self._size += len(key) + len(value)
        if self._size > _BUFFER:
            self._flush()

    def close(self) -> Path | None:
        """End the run; return its file if there is one."""
        if self._waiting:
            self._flush()
        return self._path if self._made else None

    def _flush(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if self._made else os.O_TRUNC)
        with open(os.open(self._path, flags, 0o600), "wb") as file:
            file.write(b"".join(self._waiting))
        self._made = True
        self._waiting.clear()
        self._size = 0


def read(path: Path | None) -> Iterator[Record]:
    """Yield the records of a run; none if there is no file."""
    if path is None:
        return
    with open(path, "rb", buffering=_BUFFER) as file:
        while head := file.read(_HEAD.size):
            key, value = _HEAD.unpack(head)
            yield file.read(key), file.read(value)


def merged(paths: Iterable[Path]) -> Iterator[Record]:
    """Yield the records of several runs by key; of the same key in the order of the runs.

    Of very many runs some are made one, which lies beside the first of them.
    """
    return heapq.merge(*map(read, _few(list(paths))), key=itemgetter(0))


def merged_backwards(paths: Iterable[Path]) -> Iterator[Record]:
    """Yield the records of several runs from the last key to the first."""
    return heapq.merge(*map(_backwards, _few(list(paths))), key=itemgetter(0), reverse=True)


def _few(paths: list[Path]) -> list[Path]:
    while len(paths) > _MOST_OPEN:
        some = [paths[at : at + _MOST_OPEN] for at in range(0, len(paths), _MOST_OPEN)]
        paths = [path for path in map(_joined, some) if path is not None]
    return paths


def _joined(paths: list[Path]) -> Path | None:
    first = paths[0]
    writer = RunWriter(first.with_name(f"{first.name}+"))
    for record in heapq.merge(*map(read, paths), key=itemgetter(0)):
        writer.add(*record)
    return writer.close()


def _backwards(path: Path) -> Iterator[Record]:
    places = array("Q")
    with open(path, "rb", buffering=_BUFFER) as file:
        at = 0
        while head := file.read(_HEAD.size):
            places.append(at)
            at += _HEAD.size + sum(_HEAD.unpack(head))
            file.seek(at)
        for place in reversed(places):
            file.seek(place)
            key, value = _HEAD.unpack(file.read(_HEAD.size))
            yield file.read(key), file.read(value)
