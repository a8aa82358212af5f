"""What an increment becomes: volumes, sigtars, a manifest, an index and counts, each added to in Duplicity's order."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field

from cya.engine.native.compare import Change, What
from cya.engine.native.counters import Counters
from cya.engine.native.file_list import FileList
from cya.engine.native.index import IndexWriter
from cya.engine.native.known import DOUBTED, Known, Stat, seconds
from cya.engine.native.plan import Large
from cya.engine.native.scan import Found
from cya.engine.native.sigtars import Sigtars
from cya.engine.native.tasks import LOST, UNCHANGED, Outcome, Packed, Part
from cya.engine.native.volumes import Place, Volumes
from cya.engine.protocol import Lost
from cya.format.key import path_of
from cya.format.manifest import Status

_TICK = 20_000_000
"""Nanoseconds by which the clock that stamps files may lag behind."""


@dataclass
class Output:
    """Takes packed units in order.

    :ivar number: of this increment in its chain.
    :ivar done: bytes of the source that have been worked through.
    :ivar started: nanoseconds since the epoch. Of a file that changed after that, a later change may leave the same
        change time: it is doubted in the next backup.
    """

    volumes: Volumes
    sigtars: Sigtars
    file_list: FileList
    index: IndexWriter
    number: int
    started: int
    counters: Counters = field(default_factory=Counters)
    done: int = 0
    lost: list[Lost] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)

    def plain(self, change: Change) -> None:
        """Take note of a path of which nothing is stored."""
        what, found, known, unread = change
        if unread is not None:
            self.lose(unread.key, unread.reason)
        elif known is not None and what is What.KEPT:
            self.keep(known)
        elif known is not None and found is not None:
            self._same(found, known)

    def unit(self, items: list[tuple[Change, int | None]], packed: Packed) -> None:
        """Add a unit of whole files.

        :param items: changes in order; of those that were packed, the number of their outcome.
        """
        self.damaged.update(packed.damaged)
        member = self.sigtars.add(packed.signatures) if packed.signatures.length else 0
        stored: list[bytes] = []
        for change, number in items:
            if number is None:
                self.plain(change)
                continue
            outcome = packed.outcomes[number]
            if self._settled(change, outcome, member):
                stored.append((change.found or change.known).key)  # type: ignore[union-attr]
        if packed.entries.length:
            self.volumes.add(packed.entries, _place(stored[0]), _place(stored[-1]))

    def piece(self, large: Large, packed: Packed, number: int, *, last: bool) -> None:
        """Add an entry that is a piece of a large file."""
        self.damaged.update(packed.damaged)
        large.begun = True
        large.stored += sum(outcome.stored for outcome in packed.outcomes)
        place = Place(path_of(large.found.key), None if last else number)
        self.volumes.add(packed.entries, place, place)

    def finished(self, large: Large, parts: list[Part], inner: int, length: int) -> None:
        """Add what comes after the pieces of a large file: its entry in the sigtar, in parts, and its record."""
        places = [self.sigtars.add(part) for part in parts]
        key, status = large.found.key, large.found.stat
        self._count(large.change.known, status.st_size, large.stored, key, is_regular=True)
        ctime = DOUBTED if large.broken else self._ctime(status)
        self.index.add(
            Known(
                *(key, status.st_mode, status.st_uid, status.st_gid, large.size, seconds(status), ctime),
                *(status.st_ino, self.number, places[0], inner, length, large.found.bare, b""),
            )
        )

    def lose(self, key: bytes, reason: str) -> None:
        """Take note of something that is not in the backup as it should be."""
        self.lost.append(Lost(os.fsdecode(path_of(key)), reason))
        self.counters.Errors += 1

    def lose_all(self, found: Found, reason: str) -> None:
        """Take note of a file that is not in the backup as it should be, under any of its names."""
        self.lose(found.key, reason)
        for other in found.guard or ():
            self.lose(other, f"is another name of {os.fsdecode(path_of(found.key))}: {reason}")

    def not_stored(self, change: Change, reason: str) -> None:
        """Take note of a file of which nothing could be stored; what the chain has of it stays."""
        found, known = change.found, change.known
        if found is not None:
            self.lose_all(found, reason)
        if known is not None:
            self.keep(known)

    def abandon(self) -> None:
        """Close all files as they are."""
        self.volumes.abandon()
        self.sigtars.abandon()
        self.file_list.close()
        self.index.abandon()

    def keep(self, known: Known) -> None:
        """Take note of what stays as the chain has it, and is to be looked at again."""
        self.index.add(known._replace(ctime=DOUBTED) if known.length else known)

    def _same(self, found: Found, known: Known) -> None:
        status = found.stat
        self.counters.seen(status.st_size)
        if not known.length:
            self.index.add(known)
            return
        self.done += status.st_size
        if known.ctime == status.st_ctime_ns and known.inode == status.st_ino and known.size == status.st_size:
            self.index.add(known._replace(bare=True) if found.bare and not known.bare else known)
            return
        ctime = self._ctime(status)
        self.index.add(known._replace(size=status.st_size, ctime=ctime, inode=status.st_ino, bare=found.bare))

    def _settled(self, change: Change, outcome: Outcome, member: int) -> bool:
        """Take note of what became of a change; return whether an entry is stored."""
        _, found, known, _ = change
        if found is None:
            self.counters.deleted()
            if known is not None and known.length:
                self.file_list.add(path_of(known.key), "deleted")
            return True
        if outcome.what == LOST:
            self.not_stored(change, outcome.reason)
            return False
        status = found.stat
        if outcome.what == UNCHANGED and known is not None:
            self._same(found, known)
            return False
        is_regular = stat.S_ISREG(status.st_mode)
        self._count(known, status.st_size, outcome.stored, found.key, is_regular=is_regular)
        mode, uid, gid = outcome.owner or (status.st_mode, status.st_uid, status.st_gid)
        if is_regular:
            self.done += outcome.size
            place = (self.number, member, outcome.inner, outcome.signature)
            rest = (self._ctime(status), status.st_ino, *place, found.bare, b"")
            size = outcome.size
        else:
            rest = (0, 0, self.number, 0, 0, 0, False, found.link)
            size = status.st_rdev if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else 0
        self.index.add(Known(found.key, mode, uid, gid, size, seconds(status), *rest))
        return True

    def _count(self, known: Known | None, size: int, stored: int, key: bytes, *, is_regular: bool) -> None:
        word: Status = "changed" if known is not None else "new"
        self.counters.seen(size)
        self.counters.stored(size, new=known is None)
        self.counters.RawDeltaSize += stored
        if is_regular:
            self.file_list.add(path_of(key), word)

    def _ctime(self, status: Stat) -> int:
        is_proof = 0 < status.st_ctime_ns < self.started - _TICK
        return status.st_ctime_ns if is_proof else DOUBTED


def _place(key: bytes) -> Place:
    return Place(path_of(key), None)
