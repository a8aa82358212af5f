"""The walk over the source beside the index, to its end, before anything is stored.

Only then it is known which names are the same file, and what stands in ``.dupext``, which comes before most of a
backup. What is unchanged is settled at once, and what has changed is put aside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cya.engine.native import virtual
from cya.engine.native.compare import Change, SizeFits, What, changes
from cya.engine.native.known import Known
from cya.engine.native.scan import Found, Later, Unread
from cya.engine.native.spool import ChangeSpool
from cya.engine.protocol import VirtualEntry
from cya.metadata.former import Former
from cya.metadata.link_sets import KNOWN, NEW, STORED, LinkSets, is_linked
from cya.metadata.look import Extra
from cya.metadata.side_files import DIRECTORY, SideFiles, is_ours

_LENGTH = len(DIRECTORY)
_EVERY = 1024
"""Paths after which somebody may want to know how far the walk is."""


class Survey:
    """What a walk has found.

    :ivar total: bytes in all regular files; None as long as the walk goes on.
    """

    def __init__(
        self,
        place: Path,
        entries: Mapping[bytes, VirtualEntry],
        side: SideFiles | None,
        *,
        metadata: bool,
        lose: Callable[[bytes, str], None],
        former: Former | None = None,
    ) -> None:
        """Take note of what to look for.

        :param place: a file to be made for what has changed.
        :param entries: what stands in the place of what the source may have there; see :mod:`.virtual`.
        :param side: is told of everything.
        :param metadata: whether ``.dupext`` is ours, and files are stored under one of their names only.
        :param lose: is told the key of what is not in the backup as it should be, and why.
        :param former: what the last backup had beside.
        """
        self._spool = ChangeSpool(place)
        self._entries, self._side, self._metadata, self._lose = entries, side, metadata, lose
        self._links = LinkSets()
        self._former, self._unread = former or Former(), list[Unread]()
        self._late: list[Known] = []
        self.total: int | None = None

    @property
    def links(self) -> Iterator[bytes]:
        """The records of ``hardlinks.txtz``."""
        return self._links.records()

    def make(
        self,
        walk: Iterable[Found | Unread],
        known: Iterator[Known],
        ends: Sequence[int],
        size_fits: SizeFits,
        same: Callable[[Change], None],
        begin: Callable[[], None],
        tick: Callable[[], None],
    ) -> None:
        """Walk, to the end.

        :param same: takes what is unchanged.
        :param begin: is called when there is something to be stored.
        :param tick: is called from time to time.
        """
        number = total = 0
        for number, change in enumerate(changes(self._noted(walk), self._reserving(known), ends, size_fits), 1):
            if change.found is not None and change.found.later is not None:
                change = self._looked(change, change.found, change.found.later)
            what, found, old, _ = change
            if found is not None and self._metadata and is_linked(found.stat):
                self._links.add(found.key, found.stat, _how(found, old))
                self._spool.add(change)
            elif what is What.SAME and found is not None:
                same(change)
                if found.stat.st_mode & 0o170000 == stat.S_IFREG:
                    total += found.stat.st_size
            else:
                self._spool.add(change)
                begin()
            if not number % _EVERY:
                tick()
        self.total = total + self._spool.bytes
        if self._unread:
            for key in self._links.keep(self._former, self._is_unread):
                self._lose(key, "another name of a file that is stored no more: an earlier backup has its content")

    def _looked(self, change: Change, found: Found, later: Later) -> Change:
        """Look what else a file has, unless it is known to have had nothing, and has not changed since."""
        known = change.known
        if known is not None and known.bare and change.what is What.SAME and known.ctime == found.stat.st_ctime_ns:
            self._note(found, None)
            return change
        extra = later.look(later.directory, later.name, later.there, -1)
        self._note(found, extra)
        return change._replace(found=found._replace(extra=extra, bare=extra is None, later=None))

    def _note(self, found: Found, extra: Extra | None) -> None:
        if self._side is not None:
            self._side.add(found.key, found.stat, extra)
        if extra is not None and extra.reason:
            self._lose(found.key, extra.reason)

    def _is_unread(self, key: bytes) -> bool:
        return any(
            key.startswith(item.key + b"\0") or not item.key or (key == item.key and not item.below)
            for item in self._unread
        )

    def changes(
        self, entries: Mapping[bytes, VirtualEntry], ends: Sequence[int], size_fits: SizeFits
    ) -> Iterator[Change]:
        """Yield what was put aside, in order, and what has become of the entries that the source does not have."""
        late = changes(virtual.found(entries), iter(self._late), ends, size_fits)
        following = next(late, None)
        rest = self._stored()
        for change in rest:
            key = key_of_change(change)
            while following is not None and key_of_change(following) <= key:
                yield following
                following = next(late, None)
            yield change
            if following is None:
                break
        yield from rest
        if following is not None:
            yield following
            yield from late

    def close(self) -> None:
        """Forget what was put aside."""
        self._spool.close()

    def _stored(self) -> Iterator[Change]:
        """Yield what was put aside; of a file with several names, one, and that the others are not stored any more."""
        for change in self._spool.changes():
            if change.found is None or not self._metadata or not is_linked(change.found.stat):
                yield change
            elif self._links.is_stored(change.found.key, change.found.stat):
                others = self._links.others(change.found.key, change.found.stat)
                yield change._replace(found=change.found._replace(guard=others))
            elif change.known is not None:
                yield Change(What.DELETED, None, change.known)

    def _noted(self, walk: Iterable[Found | Unread]) -> Iterator[Found | Unread]:
        """Yield what the chain may hold."""
        side, entries = self._side, self._entries
        for item in walk:
            if (item.key[:_LENGTH] == DIRECTORY or entries) and self._is_reserved(item.key):
                # What an entry of ours stands in the place of may be a directory that cannot be listed.
                if isinstance(item, Unread) and item.below and item.key in self._entries:
                    yield item
                continue
            if isinstance(item, Found):
                key, status, _, extra, *_ = item
                if item.later is None:
                    self._note(item, extra)
                if status.st_mode & 0o170000 == stat.S_IFSOCK:
                    if is_linked(status):
                        self._links.add(key, status, NEW)
                    continue
            else:
                self._unread.append(item)
                if side is not None:
                    side.keep(self._former, item.key, below=item.below)
            yield item

    def _reserving(self, known: Iterator[Known]) -> Iterator[Known]:
        entries = self._entries
        for record in known:
            if (record.key[:_LENGTH] == DIRECTORY or entries) and self._is_reserved(record.key):
                self._late.append(record)
            else:
                yield record

    def _is_reserved(self, key: bytes) -> bool:
        return key in self._entries or (self._metadata and is_ours(key))


def side_entries(files: Mapping[bytes, Path | bytes]) -> Iterator[VirtualEntry]:
    """Yield the entries of ``.dupext``.

    :param files: what :meth:`cya.metadata.side_files.SideFiles.finish` returns.
    """
    directories = {DIRECTORY} | {os.path.dirname(DIRECTORY + b"/" + name) for name in files}
    for path in sorted(directories):
        yield VirtualEntry(path, None, 0o700)
    for name, content in files.items():
        yield VirtualEntry(DIRECTORY + b"/" + name, content)


def _how(found: Found, known: Known | None) -> int:
    if known is None or stat.S_IFMT(known.mode) != stat.S_IFMT(found.stat.st_mode):
        return NEW
    return STORED if known.inode == found.stat.st_ino else KNOWN


def key_of_change(change: Change) -> bytes:
    """Return the key of what a change tells of."""
    _, found, known, unread = change
    there = found or known or unread
    return there.key if there is not None else b""
