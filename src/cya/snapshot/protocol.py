"""What each kind of snapshot does. A kind is a module that makes, mounts, checks and removes snapshots of its own.

prepare: :meth:`Kind.find` says which mounts it can take, :meth:`Kind.take` takes them all, as close together as the
kind can; mount point: :meth:`Piece.mount`; clean up: :meth:`Kind.remove`, which knows them by name and mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cya.snapshot.mounts import Mount
from cya.snapshot.names import Owner


@dataclass(frozen=True)
class Wanted:
    """What a run asks of a kind.

    :ivar owner: whose the snapshots are to be.
    :ivar now: seconds since the epoch, for their names.
    :ivar size: of a classic LVM snapshot, such as ``10%`` of the origin, or ``5G``.
    :ivar staging: an empty directory of ours, in our namespace, in which a kind may mount what it needs.
    :ivar writable: something will be written to what stands for the source.
    :ivar nested: subvolumes that lie in what is taken belong to it, too.
    """

    owner: Owner
    now: int
    size: str
    staging: Path
    writable: bool = False
    nested: bool = True


class Piece(Protocol):
    """A snapshot of what is to be seen at one place: of the source itself, or of what is mounted below it.

    :ivar part: the directory that is to be seen there, relative to the top of the snapshot.
    """

    @property
    def part(self) -> Path:
        """See above."""

    def mount(self, place: Path) -> Path:
        """Make it readable, and return its top.

        :param place: an empty directory that it may mount something on.
        """


@dataclass(frozen=True)
class Found:
    """That a mount can be taken, and how, in words for people.

    :ivar what: such as ``LVM volume vg0/root``.
    :ivar costs: such as ``a snapshot of 2.0 GB``.
    """

    mount: Mount
    what: str
    costs: str


@dataclass
class Taken:
    """Snapshots of one kind.

    :ivar pieces: by the mount. That of the mount which the source lies in shows the source, not all of the mount.
    :ivar inside: further pieces, by the place where each belongs: subvolumes that no mount stands for; and the mount
        that each lies in.
    :ivar excluded: absolute paths of the source that exist only because of the snapshot.
    """

    pieces: Mapping[Mount, Piece] = field(default_factory=dict)
    inside: Mapping[Path, tuple[Mount, Piece]] = field(default_factory=dict)
    excluded: Sequence[Path] = ()


def shown(mount: Mount, source: Path) -> Path:
    """Return the part of a mount's file system that is to be seen, relative to the file system's root.

    :param source: what is backed up. It lies in the mount, or the mount lies below it.
    """
    within = source.relative_to(mount.target) if source.is_relative_to(mount.target) else Path()
    return mount.root.relative_to("/") / within


class Kind(Protocol):
    """A kind of snapshot."""

    name: str

    def find(self, mounts: Sequence[Mount], size: str) -> list[Found]:
        """Return which of some mounts this kind can take; none where its programs are not installed.

        :param size: as in :class:`Wanted`.
        """

    def take(self, mounts: Sequence[Mount], source: Path, wanted: Wanted) -> Taken:
        """Take snapshots of all of them, or of none.

        :param mounts: some that :meth:`find` named.
        :param source: the directory that is backed up.
        :raises SnapshotError: says which, why, and what to do.
        """

    def check(self) -> None:
        """Look whether what was taken can still be read as it was.

        :raises SnapshotError: when it cannot, or soon could not.
        """

    def left(self, owner: Owner) -> list[str]:
        """Return the names of all snapshots of an owner, on this host."""

    def remove(self, owner: Owner) -> None:
        """Remove all snapshots of an owner; none of them is mounted in this namespace.

        :raises SnapshotError: when one is left.
        """
