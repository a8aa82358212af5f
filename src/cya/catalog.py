"""Reads what is there: a root's committed tree, or any one directory of Duplicity files.

Both sides need it: the archive to serve and to commit, the client to list and to restore from what it may read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec

from cya import clock
from cya.errors import ArchiveError
from cya.format.collection import FileSet, collect
from cya.tree import layout
from cya.tree.chain import Chain, Chains, Increment, chains
from cya.tree.levels import Period, upwards


@dataclass(frozen=True)
class Directory:
    """A directory of Duplicity files; in a tree, a period's ``files/`` (else the period is empty)."""

    path: Path
    period: Period
    sets: Mapping[Increment, FileSet]
    foreign: tuple[bytes, ...]

    @cached_property
    def place(self) -> bytes:
        """The path, with a slash at its end."""
        return os.path.join(os.fsencode(self.path), b"")

    @cached_property
    def chains(self) -> Chains:
        """The chains of the increments that are whole here, as far as names tell."""
        return chains(increment for increment, files in self.sets.items() if files.is_complete)


@dataclass(frozen=True)
class Backup:
    """One point in time that can be restored.

    :ivar directories: those that hold it, the finest first.
    :ivar chain: the chain up to it; None when something of it is missing.
    :ivar missing: what is missing.
    :ivar bytes: size of the increment's own files, counted once.
    :ivar files: number of the increment's own files.
    """

    increment: Increment
    directories: tuple[Directory, ...]
    chain: Chain | None
    missing: str | None
    bytes: int
    files: int


@dataclass(frozen=True)
class Catalog:
    """All directories of a source, coarse to fine; ``is_tree`` tells a root from a plain directory.

    :ivar source: where they are: a directory, or the address of another host.
    """

    source: Path | str
    is_tree: bool
    directories: tuple[Directory, ...]

    @cached_property
    def tree(self) -> dict[Period, tuple[Increment, ...]]:
        """The increments that are whole in each period, for :mod:`cya.tree.placement`."""
        return {
            directory.period: tuple(i for i, files in directory.sets.items() if files.is_complete)
            for directory in self.directories
        }

    @cached_property
    def known(self) -> dict[Period, tuple[Increment, ...]]:
        """The increments of which anything that counts lies in each period, whole or not."""
        return {
            directory.period: tuple(i for i, files in directory.sets.items() if set(files.names) - set(files.other))
            for directory in self.directories
        }

    def __getitem__(self, period: Period) -> Directory:
        """Return a period's directory.

        :raises KeyError: when there is none.
        """
        for directory in self.directories:
            if directory.period == period:
                return directory
        raise KeyError(period)

    @cached_property
    def holding(self) -> dict[Increment, tuple[Directory, ...]]:
        """The directories that know each increment, finest first; increments oldest first."""
        known: dict[Increment, list[Directory]] = {}
        for directory in sorted(self.directories, key=lambda d: (-len(d.period), d.period)):
            for increment in directory.sets:
                known.setdefault(increment, []).append(directory)
        return {i: tuple(known[i]) for i in sorted(known, key=lambda i: (i.end, i.start or 0))}

    def places(self, increment: Increment) -> dict[bytes, Path]:
        """Return where each file of an increment can be read: name to path, from the finest directory that has it."""
        return {name: place.path / os.fsdecode(name) for name, place in self._where(increment).items()}

    def _where(self, increment: Increment) -> dict[bytes, Directory]:
        found: dict[bytes, Directory] = {}
        for directory in reversed(self.holding[increment]):
            found.update(dict.fromkeys(directory.sets[increment].names, directory))
        return found

    @cached_property
    def merged(self) -> dict[Increment, FileSet]:
        """Every increment, its files taken together from all directories that have some; oldest first."""
        return {increment: self._merged(increment) for increment in self.holding}

    def _merged(self, increment: Increment) -> FileSet:
        first, *others = (directory.sets[increment] for directory in self.holding[increment])
        if all(first.names == other.names for other in others):
            return first  # as it mostly is
        return collect(self._where(increment)).sets[0]

    @cached_property
    def backups(self) -> tuple[Backup, ...]:
        """Every backup, oldest first."""
        return tuple(self._backup(increment) for increment in self.merged)

    def chain(self, increment: Increment) -> Chain | str:
        """Return the chain up to an increment, or what of it is missing everywhere.

        Within the tree as a whole chains branch: a month and its first week go on from the same backup. Back from an
        increment to its full there is only one way.
        """
        way = [increment]
        while True:
            at = way[-1]
            if lacking := gap(self.merged[at]):
                return f"{lacking} of the {'full' if at.is_full else 'increment'} of {clock.local(at.end)}"
            if at.start is None:
                return Chain(tuple(reversed(way)))
            if at.start >= at.end:
                return f"a start of the increment of {clock.local(at.end)} that is before its end"
            if at.start not in self._by_end:
                return f"the backup of {clock.local(at.start)}, on which that of {clock.local(at.end)} stands"
            way.append(self._by_end[at.start])

    def way(self, increment: Increment) -> Chain | None:
        """Return the chain up to an increment, whatever is missing of it; None when one is missing altogether."""
        way = [increment]
        while (start := way[-1].start) is not None:
            before = self._by_end.get(start)
            if before is None or start >= way[-1].end:
                return None
            way.append(before)
        return Chain(tuple(reversed(way)))

    @cached_property
    def _by_end(self) -> dict[int, Increment]:
        return {increment.end: increment for increment in self.holding}

    def _backup(self, increment: Increment) -> Backup:
        places = self._where(increment)
        chain = self.chain(increment)
        return Backup(
            increment=increment,
            directories=self.holding[increment],
            chain=chain if isinstance(chain, Chain) else None,
            missing=chain if isinstance(chain, str) else None,
            bytes=sum(_size(directory, name) for name, directory in places.items()),
            files=len(places),
        )


def _size(directory: Directory, name: bytes) -> int:
    try:
        return os.lstat(directory.place + name).st_size
    except FileNotFoundError:  # an administrator has just deleted it
        return 0


def gap(files: FileSet) -> str | None:
    """Return what an increment lacks, as far as names tell; None when it is whole."""
    if files.conflicts:
        return f"one form of {files.conflicts[0].decode()} (there are two)"
    if files.manifest is None:
        return "the manifest"
    if files.sigtar is None:
        return "the sigtar"
    if not files.volumes:
        return "every volume"
    return f"volume {files.missing_volumes[0][0]}" if files.missing_volumes else None


def read(source: Path) -> Catalog:
    """Read a root (it has ``backups/``) or any directory of Duplicity files.

    An increment whose plan has not passed the commit point is not there yet, whatever of it has been linked.

    :raises ArchiveError: when the directory is missing, may not be read, or is neither.
    """
    backups = source / layout.BACKUPS
    try:
        if backups.is_dir():
            found = sorted(_walk(backups, ()), key=lambda d: (len(d.period), d.period))
            pending = _pending(source)
            return Catalog(source, True, tuple(_without(directory, pending) for directory in found))
        plain = _directory(source, ())
    except FileNotFoundError as error:
        raise ArchiveError(f"{os.fsdecode(error.filename)}: no such directory; is the disk mounted?") from error
    except PermissionError as error:
        raise ArchiveError(
            f"{os.fsdecode(error.filename)}: not allowed to read; what is committed is its administrator's"
        ) from error
    except OSError as error:
        raise ArchiveError(f"{source}: {error.strerror}") from error
    if not plain.sets:
        raise ArchiveError(
            f"{source}: neither an archive root nor a directory of Duplicity files; is the disk mounted?"
        )
    return Catalog(source, False, (plain,))


def of_names(source: str, directories: Iterable[tuple[Path, Iterable[bytes]]]) -> Catalog:
    """Return what is in directories of another host.

    :param source: its address.
    :param directories: where each one's files will be once they are here, and their names.
    """
    return Catalog(source, False, tuple(_of_names(path, (), found) for path, found in directories))


class _Plan(msgspec.Struct):
    """What matters here of the archive's plan."""

    start: int | None
    end: int


def _pending(source: Path) -> Increment | None:
    """Return the increment that is being committed right now."""
    try:
        plan = msgspec.json.decode((source / layout.STATE / layout.PLAN).read_bytes(), type=_Plan)
    except (OSError, msgspec.MsgspecError):
        return None
    return Increment(plan.start, plan.end)


def _without(directory: Directory, pending: Increment | None) -> Directory:
    if pending not in directory.sets:
        return directory
    return replace(directory, sets={i: files for i, files in directory.sets.items() if i != pending})


def read_above(source: Path, leaf: Period) -> Catalog:
    """Read only a leaf of a root and the periods that it lies in, as far as they are there.

    That is all that serving and committing need: the time they take must not grow with the tree.
    """
    return read_periods(source, upwards(leaf))


def read_periods(source: Path, periods: Iterable[Period]) -> Catalog:
    """Read only these periods of a root, given fine to coarse, as far as they are there."""
    found = []
    for period in periods:
        path = source / layout.BACKUPS / layout.files_of(period)
        if path.is_dir():
            found.append(_directory(path, period))
    return Catalog(source, True, tuple(reversed(found)))


def _walk(top: Path, period: Period) -> Iterator[Directory]:
    with os.scandir(top) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in names:
        if name == layout.FILES and period:
            yield _directory(top / name, period)
        else:
            yield from _walk(top / name, (*period, name))


def _directory(path: Path, period: Period) -> Directory:
    return _of_names(path, period, os.listdir(os.fsencode(path)))


def _of_names(path: Path, period: Period, found: Iterable[bytes]) -> Directory:
    collection = collect(found)
    sets = {Increment(files.start, files.end): files for files in collection.sets}
    return Directory(path, period, sets, tuple(collection.foreign))
