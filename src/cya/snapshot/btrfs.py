"""btrfs snapshots: of the subvolume that a mount shows, and of those that lie in it, which no mount stands for.

They are made beside all subvolumes, in ``.cya-snapshots/OWNER`` at the top of the file system, where nobody but root
gets in; as a rule that top is not mounted. Where it is, a snapshot of it has that directory, empty: it is left out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cya.errors import SnapshotError
from cya.snapshot import programs
from cya.snapshot.mounts import Mount, mounts
from cya.snapshot.names import Owner
from cya.snapshot.protocol import Found, Piece, Taken, Wanted, shown
from cya.snapshot.staging import staged

PLACE = ".cya-snapshots"
_ROOT_INODE = 256
"""Of a subvolume's root directory (BTRFS_FIRST_FREE_OBJECTID); that of a snapshot's place for a subvolume is 2."""
_ENTRY = re.compile(r"^ID \d+ gen \d+ top level \d+ path ", re.MULTILINE)


@dataclass(frozen=True)
class _Piece:
    """The part of a snapshot that is shown at one place."""

    snapshot: Path
    part: Path

    def mount(self, place: Path) -> Path:
        return self.snapshot


@dataclass
class _FileSystem:
    """A file system, mounted at its top in our staging directory.

    :ivar fixed: the read-only ones among its subvolumes, such as the snapshots of other programs: they are as good as
        any snapshot of them.
    """

    top: Path
    subvolumes: list[Path]
    fixed: frozenset[Path]
    taken: dict[Path, Path] = field(default_factory=dict)


class _Part(NamedTuple):
    """A subvolume's path from the top of its file system, and a directory's path in it."""

    subvolume: Path
    path: Path


class Btrfs:
    """The kind."""

    name = "btrfs"

    def find(self, mounts: Sequence[Mount], size: str) -> list[Found]:
        """See :meth:`cya.snapshot.protocol.Kind.find`."""
        if programs.find("btrfs") is None:
            return []
        costs = "a snapshot, which keeps the blocks that change"
        return [Found(each, f"btrfs {each.root} of {each.source}", costs) for each in mounts if each.type == "btrfs"]

    def take(self, mounts: Sequence[Mount], source: Path, wanted: Wanted) -> Taken:
        """See :meth:`cya.snapshot.protocol.Kind.take`."""
        systems: dict[str, _FileSystem] = {}
        pieces: dict[Mount, Piece] = {}
        inside: dict[Path, tuple[Mount, Piece]] = {}
        excluded: list[Path] = []
        numbers = iter(range(1 << 30))
        for mount in mounts:
            system = systems.get(mount.source)
            if system is None:
                system = systems[mount.source] = _opened(mount.source, wanted.staging / f"btrfs-{len(systems)}")
            here = source.is_relative_to(mount.target)
            place = source if here else mount.target
            seen = shown(mount, source)
            part = _part(seen, system.subvolumes)
            snapshot = self._snapshot(system, part.subvolume, wanted, numbers, writable=wanted.writable and here)
            pieces[mount] = _Piece(snapshot, part.path)
            if seen == Path():
                excluded.append(place / PLACE)
            for nested in _below(seen, system.subvolumes):
                where = place / nested.relative_to(seen)
                if wanted.nested:
                    inside[where] = mount, _Piece(self._snapshot(system, nested, wanted, numbers), Path())
                else:
                    excluded.append(where)
        return Taken(pieces, inside, excluded)

    def check(self) -> None:
        """See :meth:`cya.snapshot.protocol.Kind.check`: a snapshot of btrfs is as good as its file system."""

    def left(self, owner: Owner) -> list[str]:
        """See :meth:`cya.snapshot.protocol.Kind.left`."""
        if not _devices():
            return []
        with staged(owner) as place:
            return [
                f"{device} {PLACE}/{owner.mark}/{each.name}"
                for device, top in _tops(place)
                for each in _owned(top, owner)
            ]

    def remove(self, owner: Owner) -> None:
        """See :meth:`cya.snapshot.protocol.Kind.remove`."""
        if not _devices():
            return
        with staged(owner) as place:
            for device, top in _tops(place):
                _remove_from(device, top, owner)

    def _snapshot(
        self, system: _FileSystem, subvolume: Path, wanted: Wanted, numbers: Iterator[int], *, writable: bool = False
    ) -> Path:
        """Take a snapshot of a subvolume, once; return its place."""
        if subvolume in system.fixed and not writable:
            return system.top / subvolume
        if subvolume not in system.taken:
            place = _made(system.top, wanted.owner) / wanted.owner.name(wanted.now, next(numbers))
            words = ["subvolume", "snapshot", *([] if writable else ["-r"])]
            doing = f"snapshot of the btrfs subvolume /{subvolume}"
            programs.run("btrfs", *words, system.top / subvolume, place, doing=doing)
            system.taken[subvolume] = place
        return system.taken[subvolume]


def _devices() -> list[str]:
    """Return a device of each btrfs that is mounted; none without the program that makes snapshots."""
    if programs.find("btrfs") is None:
        return []
    return sorted({each.source for each in mounts() if each.type == "btrfs"})


def _tops(place: Path) -> Iterator[tuple[str, Path]]:
    """Mount each btrfs that is mounted at its top; yield its device and that place."""
    for number, device in enumerate(_devices()):
        yield device, _top(device, place / f"top-{number}")


def _top(device: str, place: Path) -> Path:
    place.mkdir(0o700)
    words = ("--types", "btrfs", "--options", "subvolid=5,nosuid,nodev")
    programs.run("mount", *words, device, place, doing=f"mounting the top of {device}")
    return place


def _opened(device: str, place: Path) -> _FileSystem:
    """Mount a file system at its top, and look which subvolumes it has."""
    _top(device, place)
    doing = f"listing the subvolumes of {device}"
    everything, fixed = (
        programs.run("btrfs", "subvolume", "list", *only, place, doing=doing) for only in ((), ("-r",))
    )
    return _FileSystem(place, _subvolumes(everything), frozenset(_subvolumes(fixed)))


def _subvolumes(said: str) -> list[Path]:
    """Read ``btrfs subvolume list``; a name may have any bytes, line ends too."""
    starts = list(_ENTRY.finditer(said))
    ends = [*(each.start() for each in starts), len(said)][1:]
    paths = (said[start.end() : end].removesuffix("\n") for start, end in zip(starts, ends, strict=True))
    return sorted(Path(each) for each in paths)


def _below(path: Path, subvolumes: Iterable[Path]) -> Iterator[Path]:
    """Yield the subvolumes in a directory, but for snapshots of ours."""
    for each in subvolumes:
        if each != path and each.is_relative_to(path) and each.parts[0] != PLACE:
            yield each


def _part(path: Path, subvolumes: Sequence[Path]) -> _Part:
    """Return the subvolume that a directory lies in, the innermost, and where in it."""
    around = [each for each in subvolumes if path.is_relative_to(each)]
    subvolume = max(around, key=lambda each: len(each.parts), default=Path())
    return _Part(subvolume, path.relative_to(subvolume))


def _made(top: Path, owner: Owner) -> Path:
    """Make the directory of an owner's snapshots; what the top looks like stays as it was, its time too.

    :raises SnapshotError: when somebody else has one of that name.
    """
    shared = top / PLACE
    before = top.stat()
    with suppress(FileExistsError):
        shared.mkdir(0o700)
        os.utime(top, ns=(before.st_atime_ns, before.st_mtime_ns))
    there = shared.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != 0 or stat.S_IMODE(there.st_mode) & 0o077:
        raise SnapshotError(f"/{PLACE} at the top of the btrfs is not root's alone (0700): remove it, or make it so")
    (shared / owner.mark).mkdir(0o700, exist_ok=True)
    return shared / owner.mark


def _owned(top: Path, owner: Owner) -> list[Path]:
    try:
        inside = sorted((top / PLACE / owner.mark).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [each for each in inside if owner.owns(each.name) and each.lstat().st_ino == _ROOT_INODE]


def _remove_from(device: str, top: Path, owner: Owner) -> None:
    for each in _owned(top, owner):
        words = ("subvolume", "delete", "--commit-after")
        programs.run("btrfs", *words, each, doing=f"removing the snapshot {each.name} of {device}")
    before = top.stat()
    with suppress(OSError):  # others' are in it, or it was never there
        (top / PLACE / owner.mark).rmdir()
    with suppress(OSError):
        (top / PLACE).rmdir()
        os.utime(top, ns=(before.st_atime_ns, before.st_mtime_ns))
