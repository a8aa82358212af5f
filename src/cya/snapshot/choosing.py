"""Which file systems are taken by which kind of snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from cya.errors import SnapshotError
from cya.snapshot.btrfs import Btrfs
from cya.snapshot.lvm import Lvm
from cya.snapshot.mounts import Mount
from cya.snapshot.protocol import Found, Kind
from cya.snapshot.zfs import Zfs

AUTO = "auto"
NONE = "none"


def kinds() -> tuple[Kind, ...]:
    """Return one of each kind. btrfs and ZFS come first: either may lie on a volume of LVM."""
    return Btrfs(), Zfs(), Lvm()


def choose(
    asked: str, available: Iterable[Kind], mounts: Sequence[Mount], live: Collection[Path], size: str
) -> list[tuple[Kind, list[Found]]]:
    """Return which kind takes which mounts; what none takes is read as it is.

    :param asked: ``auto``, or the name of a kind, which then has to take the first mount.
    :param mounts: that in which the source lies, and those below it.
    :param live: targets of mounts of which no snapshot is wanted.
    :param size: of a classic LVM snapshot.
    :raises SnapshotError: when the kind that is asked for cannot take the source.
    """
    rest = [mount for mount in mounts if mount.target not in live]
    chosen = []
    for kind in available:
        if asked in (AUTO, kind.name):
            found = kind.find(rest, size)
            taken = {each.mount for each in found}
            rest = [mount for mount in rest if mount not in taken]
            if found:
                chosen.append((kind, found))
    if asked != AUTO and (mounts[0] in rest or not chosen):
        first = mounts[0]
        raise SnapshotError(
            f'snapshot.kind = "{asked}": {first.target} is {first.type} on {first.source}, of which {asked} takes '
            'no snapshot (are its programs installed?); "auto" takes what can be taken, "none" nothing'
        )
    return chosen
