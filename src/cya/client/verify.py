"""Verify: a backup beside the source, or beside a tree that was restored from it.

A difference is nothing to worry about when the change time of what differs says that it was changed after the backup:
nobody sets that time at will. What differs although it says that nothing was changed since is either damaged, or was
never backed up as it was.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cya.client import dumps
from cya.client.chosen import Chosen
from cya.client.sample import Sample
from cya.client.side import side_of
from cya.client.signatures import Source, Way, in_force
from cya.client.verify_metadata import Metadata
from cya.engine import selection
from cya.engine.native.beneath import DIRECTORY, open_beneath
from cya.engine.native.known import Stat
from cya.engine.native.reading.beside import Beside, Pair
from cya.engine.native.reading.differing import Differing
from cya.engine.native.reading.recorded import Recorded
from cya.engine.native.reading.signers import answered
from cya.engine.native.reading.signing import DIFFERS, GONE, SAME, UNREAD, Answer, Asked
from cya.engine.native.scan import Found, Scan
from cya.engine.protocol import Progress, Selection, Watcher
from cya.errors import CyaError
from cya.format import librsync
from cya.metadata.look import look
from cya.metadata.side_files import is_ours

_NANOSECONDS = 10**9
_TICK = 0.2


class Tree(NamedTuple):
    """What a backup is compared with.

    :ivar place: the source, or a tree that was restored.
    :ivar origin: the directory that was backed up, for which the patterns are written.
    :ivar restored: its change times say nothing; those of modification have to do.
    :ivar dumps: the backup may have dumps of databases, which the source has not: they are passed over.
    """

    place: Path
    origin: Path
    selection: Selection
    restored: bool = False
    dumps: bool = False


class Difference(NamedTuple):
    """One path that is not as it is in the backup.

    :ivar what: ``missing`` (only in the backup), ``extra`` (only in the tree), ``unread`` (it cannot be looked at), or
        which of ``type``, ``content``, ``target``, ``device``, ``mode``, ``owner``, ``mtime``, ``links`` (it is not the
        same file as its other names), ``acl``, ``xattrs``, ``flags``, ``holes`` differ.
    :ivar since: it was changed after the backup.
    :ivar reason: why it cannot be looked at.
    """

    key: bytes
    what: tuple[str, ...]
    since: bool = False
    reason: str = ""


class Verification:
    """Compares, and counts.

    :ivar compared: paths that are in the backup and in the tree.
    :ivar read: files whose content was compared, and ``bytes`` in them.
    :ivar differing: paths that differ, those that were changed ``since`` the backup, and those that are ``unread``
        apart.
    :ivar whole: whether hard links, ACLs and all else that the sigtars do not tell is compared, too: the volumes that
        hold it are here. Else names that may be hard links are passed over.
    """

    def __init__(self, source: Source, found: Way, tree: Tree, chosen: Chosen, sample: Sample) -> None:
        side = side_of(source, found)
        self._metadata = Metadata(side, chosen) if side is not None else None
        self.whole = self._metadata is not None
        self._source, self._found, self._tree, self._chosen, self._sample = source, found, tree, chosen, sample
        self._time = found.end * _NANOSECONDS
        self._differing = Differing(by_name=tree.restored, owners=not tree.restored or os.geteuid() == 0)
        self._new: bytes | None = None
        self._told = 0.0
        self.compared = self.read = self.bytes = 0
        self.differing = self.since = self.unread = 0

    def differences(self, watch: Watcher | None = None) -> Iterator[Difference]:
        """Compare everything, and yield what differs, in order.

        :raises IntegrityError: when a sigtar is damaged, which may be known only at the end.
        :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
        :raises ConfigError: when a pattern cannot work.
        """
        librsync.library()
        tree = self._tree
        origin = tree.origin.resolve()
        lines = selection.check(tree.selection, origin, link=tree.origin if tree.origin.is_symlink() else None)
        try:
            root = os.open(tree.place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise CyaError(f"{tree.place}: cannot be read: {error.strerror}") from error
        try:
            look_at = look if self._metadata is not None else None
            scan = Scan(root, origin, tree.selection, lines, self._chosen.keys, look_at)
            every = self._noted(in_force(self._source, self._found))
            records = (each for each in every if self._chosen.covers(each.key) and not self._is_aside(each.key))
            for (pair, differing), answer in answered(root, self._work(Beside(root, records, scan).pairs())):
                difference = self._judged(pair, differing, answer)
                if difference is not None:
                    self._count(difference)
                    yield difference
                self._tick(watch)
            for difference in self._linked(root):
                self._count(difference)
                yield difference
        finally:
            os.close(root)

    def _is_aside(self, key: bytes) -> bool:
        return is_ours(key) or (self._tree.dumps and dumps.is_dump(key))

    def _noted(self, records: Iterator[Recorded]) -> Iterator[Recorded]:
        for record in records:
            if self._metadata is not None:
                self._metadata.record(record.key)
            yield record

    def _work(self, pairs: Iterator[Pair]) -> Iterator[tuple[tuple[Pair, tuple[str, ...]], Asked | None]]:
        for pair in pairs:
            if self._is_aside(pair.key) or (pair.unread is None and not self._chosen.covers(pair.key)):
                continue
            record, found = pair.record, pair.found
            if found is not None and self._metadata is not None and pair.unread is None:
                self._metadata.note(found)
            if record is None or found is None:
                yield (pair, ()), None
                continue
            differing = self._differing(record, found)
            if self._metadata is not None and "type" not in differing:
                more = self._metadata.differing(found, record.mtime)
                differing = (*differing, *(each for each in more if each not in differing))
            asked = None
            if stat.S_ISREG(found.stat.st_mode) and not {"type", "content"} & {*differing}:
                asked = Asked(record.path, record.block, record.smallest, record.largest, record.digest)
                asked = asked if self._sample.has(record.key) else None
            yield (pair, differing), asked

    def _judged(self, pair: Pair, differing: tuple[str, ...], answer: Answer | None) -> Difference | None:
        record, found = pair.record, pair.found
        if pair.unread is not None:
            return Difference(pair.key, ("unread",), reason=pair.unread.reason)
        if found is None:
            return Difference(pair.key, ("missing",), pair.above is not None and self._is_later(pair.above))
        if record is None:
            return self._extra(found)
        self.compared += 1
        since = self._is_later(found.stat)
        if answer is not None:
            if answer.verdict == UNREAD:
                return Difference(pair.key, ("unread",), reason=answer.reason)
            if answer.verdict == GONE:
                return Difference(pair.key, ("type",), since=True)
            self.read += 1
            self.bytes += answer.size
            if answer.verdict == DIFFERS:
                differing = ("content", *differing)
                since = (answer.mtime if self._tree.restored else answer.ctime) >= self._time
            assert answer.verdict in (SAME, DIFFERS)  # noqa: S101 there are no others
        if differing == ("holes",):
            since = True  # the content is the same: file systems may move holes as they like
        return Difference(pair.key, differing, since) if differing else None

    def _extra(self, found: Found) -> Difference | None:
        """Judge what the sigtars do not have."""
        status, known = found.stat, self._metadata
        if known is None and status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            return None
        if known is not None and stat.S_ISSOCK(status.st_mode):
            differing = known.socket(found)
            if differing is not None:
                self.compared += 1
                return Difference(found.key, differing, self._is_later(status)) if differing else None
        if known is not None and known.is_link(found.key):
            self.compared += 1
            return None
        return Difference(found.key, ("extra",), self._is_new(found.key, status))

    def _linked(self, root: int) -> Iterator[Difference]:
        """Yield what differs, at the end, of links and sockets."""
        if self._metadata is None:
            return
        for key in self._metadata.missing():
            above = key.rpartition(b"\0")[0]
            there = _status(root, above)
            yield Difference(key, ("missing",), there is None or self._is_later(there))
        for key in self._metadata.without_content():
            yield Difference(key, ("content",))
        for key in self._metadata.unlinked():
            there = _status(root, key)
            yield Difference(key, ("links",), there is None or self._is_later(there))

    def _is_later(self, status: Stat) -> bool:
        return (status.st_mtime_ns if self._tree.restored else status.st_ctime_ns) >= self._time

    def _is_new(self, key: bytes, status: Stat) -> bool:
        """Whether what the backup does not have came later; with a directory that did, all that is in it."""
        if self._new is not None and key.startswith(self._new):
            return True
        later = self._is_later(status)
        if later and stat.S_ISDIR(status.st_mode):
            self._new = key + b"\0"
        return later

    def _count(self, difference: Difference) -> None:
        if difference.what == ("unread",):
            self.unread += 1
        elif difference.since:
            self.since += 1
        else:
            self.differing += 1

    def _tick(self, watch: Watcher | None) -> None:
        if watch is not None and time.monotonic() > self._told + _TICK:
            self._told = time.monotonic()
            watch(Progress(self.bytes, 0, "bytes", self.compared))


def _status(root: int, key: bytes) -> os.stat_result | None:
    try:
        parent, _, name = key.replace(b"\0", b"/").rpartition(b"/")
        directory = open_beneath(root, parent, DIRECTORY)
        try:
            return os.stat(name or b".", dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(directory)
    except OSError:
        return None
