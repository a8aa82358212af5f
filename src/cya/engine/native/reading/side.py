"""What ``.dupext`` of a backup says, made fit for a restore; that of the cya of 2012, too.

What cannot be read is named, and the restore goes on without it: content is worth more than attributes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from cya.engine.native.reading.extras import Item
from cya.engine.native.reading.volume import Wanted
from cya.engine.protocol import LEAVABLE
from cya.metadata import acl, attributes, hard_links, inode_flags, records, sockets, sparse, times
from cya.metadata.attach import ACLS
from cya.metadata.look import ACCESS, DEFAULT
from cya.metadata.searching import pairs_of
from cya.metadata.side_files import DIRECTORY

NAMES = (
    "format.txt",
    "acl.txt",
    "attr.txt",
    "hardlinks.txtz",
    "times.txtz",
    "flags.txtz",
    "sparse.txtz",
    "sockets.txtz",
)
ACL, ATTRIBUTES, FLAGS, HOLES, TIMES = LEAVABLE

_T = TypeVar("_T")
Field = tuple[bytes, int, object]
"""A key, which field of an :class:`Item`, and its value."""


class Socket(NamedTuple):
    """A socket."""

    key: bytes
    mode: int
    uid: int
    gid: int


class Side:
    """The files of one ``.dupext``.

    :ivar ours: whether they are of our own format; else of the cya of 2012, whose backups hold every name of a file
        with several names, and whose records come in no order.
    """

    def __init__(self, place: Path, without: Collection[str], lose: Callable[[bytes, str], None]) -> None:
        """Open nothing yet.

        :param place: the directory with the files.
        :param without: what is not wanted.
        :param lose: is told what could not be read, and why.
        """
        self._place, self._without, self._lose = place, without, lose
        self._keys: list[bytes] = []
        try:
            self.ours = (place / "format.txt").read_bytes().startswith(b"cya dupext 1\n")
        except OSError:
            self.ours = False

    def items(self, wanted: Wanted) -> Iterator[tuple[bytes, Item]]:
        """Yield what there is of the wanted paths, in the order of their keys."""
        self._keys = wanted.keys if self.ours and b"" not in wanted.keys else []
        streams = [self._acls, self._attributes, self._times, self._flags, self._holes]
        found = [self._guarded(stream, wanted) for stream in streams]
        merged = heapq.merge(*found, key=itemgetter(0)) if self.ours else sorted(_all(found), key=itemgetter(0))
        for key, fields in groupby(merged, key=itemgetter(0)):
            values: list[object] = list(Item())
            for _, number, value in fields:
                values[number] = (*values[number], *value) if number == 1 else value  # type: ignore[misc]
            yield key, Item._make(values)

    def link_sets(self) -> list[list[bytes]]:
        """Return the keys of each file with several names; the first is that under which the archive has it."""
        sets: dict[bytes, list[bytes]] = {}
        try:
            for inode, _, key in self._read("hardlinks.txtz", hard_links.parse):
                sets.setdefault(inode, []).append(key)
        except ValueError as error:
            self._lose(DIRECTORY + b"\0hardlinks.txtz", f"damaged: {error}; names that follow are not made")
        return [names for names in sets.values() if len(names) > 1]

    def sockets(self, wanted: Wanted) -> Iterator[Socket]:
        """Yield the wanted sockets."""
        try:
            for text, path in self._read("sockets.txtz", records.pairs):
                key = records.key_of_dotted(path)
                if key and wanted.holds(key):
                    yield Socket(key, *sockets.parse(text))
        except ValueError as error:
            self._lose(DIRECTORY + b"\0sockets.txtz", f"damaged: {error}")

    def _guarded(self, stream: Callable[[], Iterator[Field]], wanted: Wanted) -> Iterator[Field]:
        """Yield wanted fields, as long as they are as they should be."""
        last = b""
        try:
            for field in stream():
                if self.ours and field[0] < last:
                    raise ValueError(f"{field[0]!r} comes after {last!r}")
                last = field[0]
                if wanted.holds(last):
                    yield field
        except ValueError as error:
            name = stream.__name__.strip("_")
            self._lose(DIRECTORY, f"damaged: {error}; {name} that follow are not restored")

    def _acls(self) -> Iterator[Field]:
        for each in self._read("acl.txt", acl.parse):
            key = _key(each.path)
            if each.access is not None:
                yield key, 5, acl.group_bits(each.access)
            if ACL not in self._without:
                found = ((ACCESS, each.access), (DEFAULT, each.default))
                yield key, 1, tuple((name, value) for name, value in found if value is not None)

    def _attributes(self) -> Iterator[Field]:
        if ATTRIBUTES not in self._without:
            for path, given in self._read("attr.txt", attributes.parse):
                yield _key(path), 1, tuple((name, value) for name, value in given if name not in ACLS)

    def _times(self) -> Iterator[Field]:
        if TIMES not in self._without:
            for text, path in self._read("times.txtz", self._some_pairs):
                yield _key(path), 0, times.nanoseconds(text)

    def _some_pairs(self, file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
        """Yield pairs, at least those that are wanted: there may be one for each file of a system."""
        return pairs_of(file, self._keys) if self._keys else records.pairs(file)

    def _flags(self) -> Iterator[Field]:
        if FLAGS not in self._without:
            for text, path in self._read("flags.txtz", records.pairs):
                yield _key(path), 2, inode_flags.of_letters(text)

    def _holes(self) -> Iterator[Field]:
        if HOLES not in self._without:
            for text, path in self._read("sparse.txtz", records.pairs):
                size, extents = sparse.parse(text)
                yield _key(path), 3, extents
                yield _key(path), 4, size

    def _read(self, name: str, parse: Callable[[BinaryIO], Iterator[_T]]) -> Iterator[_T]:
        path = self._place / name
        if path.exists():
            with open(path, "rb") as file:
                yield from parse(file)


def _key(path: bytes) -> bytes:
    return records.key_of_dotted(path)


def _all(streams: Iterable[Iterable[Field]]) -> Iterator[Field]:
    for stream in streams:
        yield from stream
