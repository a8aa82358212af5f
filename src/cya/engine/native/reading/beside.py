"""A backup's records beside the walk over a tree, both in the order of keys."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cya.engine.native.beneath import DIRECTORY, open_beneath
from cya.engine.native.known import Stat
from cya.engine.native.reading.recorded import Recorded
from cya.engine.native.scan import Found, Unread


class Pair(NamedTuple):
    """A path as it is recorded, and as it is; one of both may be None.

    :ivar above: the nearest directory above it that is there, where the path itself is not.
    :ivar unread: it could not be looked at.
    """

    record: Recorded | None
    found: Found | None
    above: Stat | None = None
    unread: Unread | None = None

    @property
    def key(self) -> bytes:
        """The path's key."""
        there = self.record or self.found or self.unread
        assert there is not None  # noqa: S101 one of them is there
        return there.key


class Beside:
    """Joins the two."""

    def __init__(self, root: int, records: Iterable[Recorded], walk: Iterable[Found | Unread]) -> None:
        """Take note of both; keys ascend.

        :param root: descriptor of the tree.
        """
        self._root = root
        self._records = iter(records)
        self._walk = walk
        self._way: list[Found] = []
        self._unread: Unread | None = None

    def pairs(self) -> Iterator[Pair]:
        """Yield every path of both.

        What the walk leaves out and the backup has is looked up: patterns may have been added since. Of what could not
        be looked at only that is yielded.
        """
        record = next(self._records, None)
        for item in self._walk:
            while record is not None and record.key < item.key:
                yield from self._recorded_only(record)
                record = next(self._records, None)
            same = record is not None and record.key == item.key
            if isinstance(item, Unread):
                self._unread = item
                yield Pair(record if same else None, None, unread=item)
                if not item.below and same:
                    record = next(self._records, None)
                continue
            self._enter(item)
            yield Pair(record if same else None, item)
            if same:
                record = next(self._records, None)
        while record is not None:
            yield from self._recorded_only(record)
            record = next(self._records, None)

    def _recorded_only(self, record: Recorded) -> Iterator[Pair]:
        if self._unread is not None and _lies_in(record.key, self._unread.key):
            return
        found = self._looked_up(record.key)
        if isinstance(found, Unread):
            yield Pair(record, None, unread=found)
            return
        if found is not None:
            self._enter(found)
            yield Pair(record, found)
            return
        while self._way and not _lies_in(record.key, self._way[-1].key):
            self._way.pop()
        yield Pair(record, None, self._way[-1].stat if self._way else os.fstat(self._root))

    def _enter(self, found: Found) -> None:
        """Take note of a directory that the walk is in now."""
        if stat.S_ISDIR(found.stat.st_mode):
            while self._way and not _lies_in(found.key, self._way[-1].key):
                self._way.pop()
            self._way.append(found)

    def _looked_up(self, key: bytes) -> Found | Unread | None:
        parent, _, name = key.replace(b"\0", b"/").rpartition(b"/")
        try:
            directory = open_beneath(self._root, parent, DIRECTORY)
            try:
                there = os.stat(name, dir_fd=directory, follow_symlinks=False)
                link = os.readlink(name, dir_fd=directory) if stat.S_ISLNK(there.st_mode) else b""
                return Found(key, there, link)
            finally:
                os.close(directory)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            # A symbolic link on the way: there is nothing at this path itself.
            return None if error.errno == errno.ELOOP else Unread(key, error.strerror or str(error), below=False)


def _lies_in(key: bytes, top: bytes) -> bool:
    return not top or key == top or key.startswith(top + b"\0")
