"""Makes whole files of parts, once all parts are there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

import msgspec

from cya.engine.native.reading.made import Made
from cya.engine.native.reading.outcome import Outcome, shortened
from cya.engine.native.reading.parts import Part, Range, own_file, place_of
from cya.engine.native.reading.patch import Patch
from cya.engine.native.reading.runs import RunWriter
from cya.engine.native.reading.target import Kept, Target
from cya.engine.native.reading.trouble import told, unwritable
from cya.format.delta_commands import DeltaDamaged

_LARGE = 1 << 26
"""Bytes from which on it is looked first whether there is room for a file."""


class Group(msgspec.Struct, frozen=True, array_like=True):
    """All parts of a path."""

    key: bytes
    parts: list[Part]


class _Lost(Exception):
    """A path cannot be put together; the message says why."""


class Assemble:
    """Makes files of parts."""

    def __init__(self, label: str, target: Target, work: Path) -> None:
        self._label, self._target, self._work = label, target, work
        self._directory = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._made = Made(work, label)
        self._kept = RunWriter(work / f"kept-{label}")
        target.way.made = self._made.add

    def assemble(self, groups: Iterable[Group]) -> Outcome:
        """Make the files, in the order of their keys.

        :raises EngineError: when nothing can be written any more.
        """
        outcome = Outcome()
        kept = self._target.kept
        try:
            for group in groups:
                try:
                    outcome.size += self._one(group.key, group.parts)
                    outcome.files += 1
                except Kept as kept_one:
                    self._kept.add(group.key, kept_one.mark)
                except (_Lost, DeltaDamaged) as error:
                    outcome.lost.append((shortened(group.key), str(error)))
                except OSError as error:
                    if self._target.ends_all(error, group.key):
                        raise unwritable(error) from error
                    outcome.lost.append((shortened(group.key), told(error)))
        finally:
            os.close(self._directory)
        outcome.kept = self._target.kept - kept
        outcome.runs += [path.name for path in (*self._made.close(), self._kept.close()) if path is not None]
        return outcome

    def _one(self, key: bytes, parts: Sequence[Part]) -> int:
        parts = sorted(parts, key=lambda part: (part.increment, part.first))
        base = [part for part in parts if not part.delta]
        increments = groupby((part for part in parts if part.delta), key=lambda part: part.increment)
        deltas = [list(group) for _, group in increments]
        _check(base)
        if len({part.increment for part in base}) > 1 or (deltas and deltas[0][0].increment <= base[0].increment):
            raise _Lost("the archive holds two versions of it that cannot both be the oldest")
        member = (deltas[-1] if deltas else base)[0].member
        own = own_file(base[0].increment, key)
        if any(part.where.file == own for part in base):
            where = [Range(own, 0, self._joined(own, base))]
        else:
            where = [part.where for part in base]
        patch = Patch(self._work, where, [[part.where for part in delta] for delta in deltas], f"base-{self._label}")
        try:
            patch.prepare()
            if self._target.stays(key, member, patch.size):
                raise Kept(same=self._target.kept_same)
            if where[0].file == own and patch.base.is_file(own) and patch.is_in_place():
                self._check_room(patch.size - patch.base.size)
                with open(self._work / own, "r+b", buffering=0) as file:
                    patch.write(file.fileno(), in_place=True)
                self._target.place(own, self._directory, key, member, patch.size)
            else:
                self._check_room(patch.size)
                sparse = self._target.extents_of(key) is not None
                self._target.file(key, member, patch.size, partial(patch.write, sparse=sparse))
            return patch.size
        finally:
            patch.close()
            with suppress(FileNotFoundError):
                os.unlink(self._work / own)

    def _check_room(self, size: int) -> None:
        """Refuse what cannot fit: a few bytes of a delta can say that a file has any size.

        :raises _Lost: when there is no room for so many bytes.
        """
        if size > _LARGE:
            there = os.fstatvfs(self._directory)
            if size > there.f_bavail * there.f_frsize:
                raise _Lost(f"it has {size:,} bytes, for which there is no room here")

    def _joined(self, own: str, base: Sequence[Part]) -> int:
        """Bring into the file of its own what was kept apart; return its size.

        :raises _Lost: when a piece is not where it has to be.
        """
        at = 0
        for part in base:
            if part.where.file != own:
                self._bring(part.where, own, at)
            elif part.where.offset != at:
                raise _Lost("its pieces are not of the same length, as those are that Duplicity makes")
            at += part.where.length
        return at

    def _bring(self, where: Range, own: str, at: int) -> None:
        with open(place_of(self._work, where.file), "rb", buffering=0) as source, open(self._work / own, "r+b") as file:
            source.seek(where.offset)
            file.seek(at)
            left = where.length
            while left and (data := source.read(min(left, 1 << 20))):
                file.write(data)
                left -= len(data)


def _check(parts: Sequence[Part]) -> None:
    """Refuse what is not there from the first piece on, without a gap."""
    if not parts or parts[0].first > 1:
        raise _Lost("the archive does not hold the whole of it")
    for one, following in pairwise(parts):
        if following.first != one.last + 1:
            raise _Lost("the archive does not hold all pieces of it")
