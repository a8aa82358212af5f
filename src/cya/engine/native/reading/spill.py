"""Where parts of files lie until all of them are there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cya.engine.native.reading.parts import Part, Range, own_file
from cya.engine.native.reading.target import is_hole, write_all
from cya.format.difftar import Entry, What
from cya.format.tar_reader import Member

_MOST_HELD = 1 << 22
_FARTHEST = 1 << 60
"""Bytes: where no piece of any file can lie."""


class Spill:
    """A file of the working directory to which parts of many files are written."""

    def __init__(self, work: Path, name: str) -> None:
        self._work, self._name = work, name
        self._fd = -1
        self._size = 0

    def add(self, data: Iterable[bytes | memoryview]) -> Range:
        """Write some bytes; return where they are."""
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._work / self._name, flags, 0o600)
        start = self._size
        for piece in data:
            write_all(self._fd, piece)
            self._size += len(piece)
        return Range(self._name, start, self._size - start)

    @contextmanager
    def own(self, name: str) -> Iterator[int]:
        """Open a file of the working directory, which others may be writing to, too."""
        fd = os.open(self._work / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            yield fd
        finally:
            os.close(fd)

    def close(self) -> None:
        """End it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class PieceRun:
    """The pieces that one volume holds of a path.

    Those of a whole file are written where they belong in a file that all volumes share. Where that is can be told from
    the number of the first one if all pieces but the last one of the file have the same length; so a run of only one
    piece, unless it is the first, is kept apart.

    :ivar last: number of the last piece.
    :ivar broken: a piece in between is missing. Of deltas that cannot be told: where nothing has changed our writer
        leaves numbers out, and stock does not look at them.
    """

    def __init__(self, found: Entry, member: Member, increment: int, spill: Spill, *, sparse: bool) -> None:
        """Write nothing yet.

        :param sparse: leave a hole where there are many zeros.
        """
        self._sparse, self._skipped = sparse, False
        self.key, self._first, self._member = found.key, found.piece, member
        self._increment, self._spill = increment, spill
        self._delta = found.what is What.DIFF
        far = found.piece * member.size > _FARTHEST
        self._apart = self._delta or far or (found.piece > 1 and member.size > _MOST_HELD)
        self._name = own_file(increment, found.key)
        self._ranges: Range | None = None
        self._held: bytes | None = None
        self._fd = -1
        self._offset = self._at = (found.piece - 1) * member.size
        self.last = found.piece
        self.broken = False

    def add(self, number: int, size: int, data: Iterable[bytes | memoryview]) -> None:
        """Add a piece."""
        self.last = number
        if self._apart:
            added = self._spill.add(data)
            before = self._ranges
            self._ranges = Range(added.file, before.offset, before.length + added.length) if before else added
        elif number == self._first and number > 1:
            self._held = b"".join(data)
        else:
            self._write(data)

    def ended(self) -> Part:
        """Return what there is."""
        if self._held is not None:
            self._ranges = self._spill.add([self._held])
            self._held = None
        self.close()
        where = self._ranges or Range(self._name, self._offset, self._at - self._offset)
        return Part(self._increment, self._delta, self._first, self.last, where, self._member)

    def close(self) -> None:
        """Close the file that it writes to."""
        if self._fd >= 0:
            if self._skipped:  # a hole at the end; others may write behind it, so the file is not cut there
                os.pwrite(self._fd, b"\0", self._at - 1)
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: Iterable[bytes | memoryview]) -> None:
        if self._fd < 0:
            with self._spill.own(self._name) as fd:
                self._fd = os.dup(fd)
            os.set_inheritable(self._fd, False)
        held, self._held = self._held, None
        for piece in (held, *data) if held is not None else data:
            view = memoryview(piece)
            self._skipped = self._sparse and is_hole(view)
            if self._skipped:
                self._at += len(view)
                continue
            while view:
                done = os.pwrite(self._fd, view, self._at)
                self._at += done
                view = view[done:]
