"""Brings what one volume holds to the destination, or, where more is needed for a file, to the working directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from cya.engine.native.reading.actions import Action, Actions
from cya.engine.native.reading.made import Made
from cya.engine.native.reading.outcome import DIRECTORY, Outcome, shortened
from cya.engine.native.reading.parts import Part, Range, own_file, packed
from cya.engine.native.reading.runs import RunWriter
from cya.engine.native.reading.spill import PieceRun, Spill
from cya.engine.native.reading.target import Kept, Target, is_hole, write_all
from cya.engine.native.reading.trouble import told, unwritable
from cya.engine.native.reading.volume import Wanted
from cya.format.difftar import Entry, What
from cya.format.tar_reader import Member

_REGULAR, _DIRECTORY = b"0", b"5"
_SHORT = 1 << 16
"""Bytes up to which a hole may be written first."""
_SMALL = 1 << 20
"""Bytes up to which what has to be patched is not worth a file of its own."""


class Source(Protocol):
    """Entries in the order of their keys, and the data of each."""

    def __iter__(self) -> Iterator[tuple[Entry, Member]]:
        """Yield the entries."""

    def data(self) -> Iterator[bytes | memoryview]:
        """Yield the data of the entry, once."""


class Extract:
    """Extracts one volume."""

    def __init__(
        self, increment: int, label: str, actions: Actions, wanted: Wanted, target: Target, work: Path
    ) -> None:
        """Write nothing yet.

        :param increment: its number in the chain.
        :param label: the volume's, for names in the working directory.
        """
        self._increment, self._actions, self._wanted = increment, actions, wanted
        self._target, self._work = target, work
        self._spill = Spill(work, f"spill-{label}")
        self._directories = RunWriter(work / f"directories-{label}")
        self._made = Made(work, label)
        self._parts = RunWriter(work / f"parts-{label}")
        self._kept = RunWriter(work / f"kept-{label}")
        self._run: PieceRun | None = None
        self.outcome = Outcome()
        target.way.made = self._made.add

    def extract(self, entries: Source, tick: Callable[[], None]) -> Outcome:
        """Extract all entries.

        :raises FileDamaged, DecryptionFailed: see :class:`cya.engine.native.reading.volume.Entries`.
        :raises EngineError: when nothing can be written any more.
        """
        kept = self._target.kept
        try:
            self._all(entries, tick)
        finally:
            self._spill.close()
            if self._run is not None:
                self._run.close()
        outcome = self.outcome
        outcome.kept += self._target.kept - kept
        runs = [writer.close() for writer in (self._directories, self._parts, self._kept)]
        outcome.runs += [path.name for path in (*runs, *self._made.close()) if path is not None]
        return outcome

    def _all(self, entries: Source, tick: Callable[[], None]) -> None:
        for found, member in entries:
            if self._run is not None and self._run.key != found.key:
                self._end_run()
            action = self._actions.of(found.key)
            if action is not Action.SKIP and found.what is not What.DELETED:
                self._one(found, member, action, entries)
            tick()
        if self._run is not None:
            self._end_run()

    def _one(self, found: Entry, member: Member, action: Action, entries: Source) -> None:
        self.outcome.entries += 1
        if self._wanted.keys and (number := self._wanted.number(found.key)) is not None:
            self.outcome.seen.add(number)
        try:
            if member.kind != _REGULAR:
                self._other(found, member)
            elif (found.what is What.DIFF) != (action is Action.DELTA):
                self.lose(found.key, "the archive holds changes of it, but nothing that they could apply to")
            elif found.piece:
                self._piece(found, member, entries)
            elif action is Action.FINAL:
                sparse = member.size > _SHORT and self._is_sparse(found.key)
                self._target.file(
                    found.key, member, member.size, lambda fd: _written(fd, entries.data(), sparse=sparse)
                )
                self.outcome.size += member.size
                self.outcome.files += 1
            else:
                self._part(found, member, entries)
        except Kept as kept:
            self._kept.add(found.key, kept.mark)
        except OSError as error:
            if self._run is not None and self._run.key == found.key:
                self._run.broken = True
            self._failed(found.key, error)

    def _other(self, found: Entry, member: Member) -> None:
        if found.what is not What.SNAPSHOT or found.piece:
            self.lose(found.key, "the archive holds something of it that cannot be")
        elif member.kind == _DIRECTORY:
            self._target.directory(found.key)
            self._directories.add(found.key, DIRECTORY + msgspec.msgpack.encode(member))
        elif found.key:
            self._target.other(found.key, member)

    def _part(self, found: Entry, member: Member, entries: Source) -> None:
        """Keep a file or a delta until all that belongs to it is there."""
        delta = found.what is What.DIFF
        if delta or member.size <= _SMALL:
            where = self._spill.add(entries.data())
        else:
            name = own_file(self._increment, found.key)
            with self._spill.own(name) as fd:
                os.ftruncate(fd, 0)
                where = Range(name, 0, _written(fd, entries.data(), sparse=self._is_sparse(found.key)))
        self._parts.add(found.key, packed(Part(self._increment, delta, 0, 0, where, member)))

    def _piece(self, found: Entry, member: Member, entries: Source) -> None:
        if self._run is None:
            sparse = self._is_sparse(found.key)
            self._run = PieceRun(found, member, self._increment, self._spill, sparse=sparse)
        elif self._run.last + 1 != found.piece and found.what is What.SNAPSHOT:
            self._run.broken = True
        self._run.add(found.piece, member.size, entries.data())

    def _is_sparse(self, key: bytes) -> bool:
        return self._target.extents_of(key) is not None

    def _end_run(self) -> None:
        """Take note of the pieces of a file."""
        run, self._run = self._run, None
        assert run is not None  # noqa: S101 asked before
        if run.broken:
            run.close()
            self.lose(run.key, "a piece of it is missing in the archive")
            return
        self._parts.add(run.key, packed(run.ended()))

    def lose(self, key: bytes, reason: str) -> None:
        """Take note that a path is not restored as it should be."""
        self.outcome.lost.append((shortened(key), reason))

    def _failed(self, key: bytes, error: OSError) -> None:
        if self._target.ends_all(error, key):
            raise unwritable(error) from error
        self.lose(key, told(error))


def _written(fd: int, data: Iterator[bytes | memoryview], *, sparse: bool = False) -> int:
    """Write data; return how many bytes they were.

    :param sparse: where there are many zeros, leave a hole: else a file with large ones may find no room.
    """
    size = 0
    for piece in data:
        size += len(piece)
        if sparse and is_hole(piece):
            os.lseek(fd, len(piece), os.SEEK_CUR)
        else:
            write_all(fd, piece)
    if sparse:
        os.ftruncate(fd, size)
    return size
