"""ZFS snapshots, all data sets of a pool at the same moment.

They are mounted (``mount -t zfs``) and not reached through ``.zfs/snapshot``: what the kernel mounts there by itself
appears in the first mount namespace only, and everywhere else the path leads to "Too many levels of symbolic links"
(openzfs 3512, 9479, 9958).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cya.snapshot import programs
from cya.snapshot.mounts import Mount
from cya.snapshot.names import Owner
from cya.snapshot.protocol import Found, Taken, Wanted, shown

_PROPERTY = "cya:owner"


@dataclass(frozen=True)
class _Piece:
    snapshot: str
    target: Path
    part: Path

    def mount(self, place: Path) -> Path:
        options = "ro,nosuid,nodev"
        doing = f"mounting the snapshot of {self.target}"
        programs.run("mount", "--types", "zfs", "--options", options, self.snapshot, place, doing=doing)
        return place


class Zfs:
    """The kind."""

    name = "zfs"

    def find(self, mounts: Sequence[Mount], size: str) -> list[Found]:
        """See :meth:`cya.snapshot.protocol.Kind.find`."""
        if programs.find("zfs") is None:
            return []
        return [
            Found(each, f"ZFS data set {each.source}", "a snapshot, which keeps the blocks that change")
            for each in mounts
            if each.type == "zfs" and "@" not in each.source
        ]

    def take(self, mounts: Sequence[Mount], source: Path, wanted: Wanted) -> Taken:
        """See :meth:`cya.snapshot.protocol.Kind.take`."""
        name = wanted.owner.name(wanted.now, 0)
        pools: dict[str, list[str]] = {}
        for mount in mounts:
            sets = pools.setdefault(mount.source.partition("/")[0], [])
            if mount.source not in sets:
                sets.append(mount.source)
        for pool, sets in pools.items():
            words = ["snapshot", "-o", f"{_PROPERTY}={wanted.owner.mark}", *(f"{each}@{name}" for each in sets)]
            programs.run("zfs", *words, doing=f"snapshot of ZFS data sets of {pool}")
        return Taken({mount: _Piece(f"{mount.source}@{name}", mount.target, shown(mount, source)) for mount in mounts})

    def check(self) -> None:
        """See :meth:`cya.snapshot.protocol.Kind.check`: ZFS lets writers wait for room, and never loses a snapshot."""

    def left(self, owner: Owner) -> list[str]:
        """See :meth:`cya.snapshot.protocol.Kind.left`."""
        if programs.find("zfs") is None:
            return []
        columns = ("-H", "-t", "snapshot", "-o", f"name,{_PROPERTY}")
        said = programs.run("zfs", "list", *columns, doing="looking for ZFS snapshots")
        rows = (line.split("\t") for line in said.splitlines() if line.count("\t") == 1)
        return [name for name, mark in rows if mark == owner.mark and owner.owns(name.partition("@")[2])]

    def remove(self, owner: Owner) -> None:
        """See :meth:`cya.snapshot.protocol.Kind.remove`."""
        for name in self.left(owner):
            programs.run("zfs", "destroy", name, doing=f"removing the snapshot {name}")
