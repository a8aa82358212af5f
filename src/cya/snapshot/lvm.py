"""LVM snapshots, classic and thin. A classic one has room of its own for what changes in the origin meanwhile; when
that is full it is lost. A thin one takes from its pool, which is bad for all volumes in it when it is full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cya.errors import SnapshotError
from cya.snapshot import programs
from cya.snapshot.mounts import Mount
from cya.snapshot.names import Owner
from cya.snapshot.protocol import Found, Taken, Wanted, shown

_COLUMNS = (
    "vg_name,lv_name,lv_tags,lv_path,lv_size,segtype,pool_lv,lv_kernel_major,lv_kernel_minor,"
    "data_percent,metadata_percent,lv_snapshot_invalid"
)
_TAG = "cya"
_FULL = 99.0
"""Percent of a classic snapshot at which a run is given up: it says so before the kernel throws the snapshot away."""
_POOL_FULL = 95.0
"""Percent of a thin pool at which no snapshot is taken, and a run is given up: the origin needs what is left."""
_OPTIONS = {"xfs": ",nouuid"}  # its twin is mounted
_DEVICES = Path("/sys/dev/block")
_MAPPER = Path("/sys/class/misc/device-mapper")
_CLASSIC = re.compile(r"\d+%")


@dataclass(frozen=True)
class Volume:
    """A logical volume.

    :ivar size: bytes.
    :ivar pool: name of its thin pool; empty: it has none.
    :ivar device: ``MAJOR:MINOR``; ``-1:-1`` if it is not active.
    :ivar data: percent of a snapshot or a pool that is used; None where that means nothing.
    :ivar metadata: the same of a pool's metadata.
    :ivar invalid: a snapshot that became full, and is lost.
    """

    group: str
    name: str
    tags: frozenset[str]
    path: str
    size: int
    thin: bool
    pool: str
    device: str
    data: float | None
    metadata: float | None
    invalid: bool

    @property
    def full_name(self) -> str:
        """``GROUP/NAME``."""
        return f"{self.group}/{self.name}"


@dataclass(frozen=True)
class _Piece:
    volume: Volume
    mounted: Mount
    part: Path
    writable: frozenset[str]
    """Full names of the volumes that are mounted so."""
    places: dict[str, Path]
    """Where volumes are mounted: a second time would fail if one were writable and the other not."""

    def mount(self, place: Path) -> Path:
        name = self.volume.full_name
        if name not in self.places:
            # Read-only of a device that can be written to: the kernel does what recovery its file system needs.
            mode = "rw" if name in self.writable else "ro"
            options = f"{mode},nosuid,nodev{_OPTIONS.get(self.mounted.type, '')}"
            words = ("--types", self.mounted.type, "--options", options, self.volume.path)
            programs.run("mount", *words, place, doing=f"mounting the snapshot of {self.mounted.target}")
            self.places[name] = place
        return self.places[name]


class Lvm:
    """The kind."""

    name = "lvm"

    def __init__(self) -> None:
        self._taken: dict[str, Mount] = {}

    def find(self, mounts: Sequence[Mount], size: str) -> list[Found]:
        """See :meth:`cya.snapshot.protocol.Kind.find`."""
        is_there = _is_mapped(mounts) and programs.find("lvs") is not None
        volumes = {volume.device: volume for volume in (_volumes() if is_there else ())}
        found = []
        for mount in mounts:
            volume = volumes.get(mount.device)
            if volume is not None:
                costs = "a thin snapshot, which takes from its pool what changes" if volume.thin else ""
                costs = costs or f"a snapshot of {size}{' of it' if _CLASSIC.fullmatch(size) else ''}"
                found.append(Found(mount, f"LVM volume {volume.full_name}", costs))
        return found

    def take(self, mounts: Sequence[Mount], source: Path, wanted: Wanted) -> Taken:
        """See :meth:`cya.snapshot.protocol.Kind.take`."""
        known = _by_name()
        volumes = {volume.device: volume for volume in known.values()}
        names: dict[str, str] = {}
        for mount in mounts:
            volume = volumes[mount.device]
            if volume.full_name not in names:
                names[volume.full_name] = self._snapshot(volume, known, mount, wanted, len(names))
        made = _by_name()
        snapshots = {mount: made[names[volumes[mount.device].full_name]] for mount in mounts}
        here = (each for mount, each in snapshots.items() if source.is_relative_to(mount.target))
        writable = frozenset(each.full_name for each in here if wanted.writable)
        places: dict[str, Path] = {}
        return Taken(
            {mount: _Piece(each, mount, shown(mount, source), writable, places) for mount, each in snapshots.items()}
        )

    def check(self) -> None:
        """See :meth:`cya.snapshot.protocol.Kind.check`."""
        if not self._taken:
            return
        volumes = _by_name()
        for name, mount in self._taken.items():
            volume = volumes.get(name)
            if volume is None:
                raise SnapshotError(f"{mount.target}: its snapshot {name} was removed while it was read; run again")
            if volume.thin:
                _check_pool(volumes, volume, mount)
            elif volume.invalid or (volume.data or 0.0) >= _FULL:
                raise SnapshotError(
                    f"{mount.target}: its snapshot {name} is full ({volume.size >> 20} MiB): more has changed than it "
                    "holds, so what is read from it is not what it was. Give it more with snapshot.size, put "
                    "cache_dir on another file system if it lies on this one, or back up when less is written"
                )

    def left(self, owner: Owner) -> list[str]:
        """See :meth:`cya.snapshot.protocol.Kind.left`."""
        return [volume.full_name for volume in _owned(owner)]

    def remove(self, owner: Owner) -> None:
        """See :meth:`cya.snapshot.protocol.Kind.remove`."""
        self._taken.clear()
        for volume in _owned(owner):
            words, doing = ("--yes", volume.full_name), f"removing the snapshot {volume.full_name}"
            programs.patiently(partial(programs.run, "lvremove", *words, doing=doing), _is_busy)

    def _snapshot(self, volume: Volume, known: Mapping[str, Volume], mount: Mount, wanted: Wanted, number: int) -> str:
        """Take one; return its full name."""
        name = wanted.owner.name(wanted.now, number)
        words = ["--yes", "--snapshot", "--name", name, "--addtag", _TAG, "--addtag", wanted.owner.mark]
        if volume.thin:
            _check_pool(known, volume, mount)
            words += ["--setactivationskip", "n"]
        else:
            of_origin = _CLASSIC.fullmatch(wanted.size)
            words += ["--extents", f"{wanted.size}ORIGIN"] if of_origin else ["--size", wanted.size]
        try:
            programs.run("lvcreate", *words, volume.full_name, doing=f"{mount.target}: snapshot of {volume.full_name}")
        except SnapshotError as error:
            if "insufficient" in str(error).lower():
                more = f"vgs {volume.group} tells what is free; ask for less with snapshot.size, or add a disk"
                raise SnapshotError(f"{error} ({more})") from error
            raise
        full = f"{volume.group}/{name}"
        self._taken[full] = mount
        return full


def _volumes() -> list[Volume]:
    # Bytes as plain numbers, and flags as 0 and 1.
    form = ("--reportformat", "json", "--units", "b", "--nosuffix", "--binary")
    said = programs.report("lvs", *form, "--options", _COLUMNS, doing="looking for LVM volumes")
    reports = (said or {}).get("report", [])
    return [_volume(each) for report in reports for each in report.get("lv", [])]


def _volume(row: Mapping[str, str]) -> Volume:
    return Volume(
        *(row["vg_name"], row["lv_name"], frozenset(filter(None, row["lv_tags"].split(","))), row["lv_path"]),
        size=int(row["lv_size"]),
        thin=row["segtype"] == "thin",
        pool=row["pool_lv"],
        device=f"{row['lv_kernel_major']}:{row['lv_kernel_minor']}",
        data=_number(row["data_percent"]),
        metadata=_number(row["metadata_percent"]),
        invalid=row["lv_snapshot_invalid"] == "1",
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _is_mapped(mounts: Iterable[Mount]) -> bool:
    """Whether any lies on a device of the device-mapper. Where none does, ``lvs`` may not even work: in a container."""
    return any((_DEVICES / mount.device / "dm").is_dir() for mount in mounts)


def _by_name() -> dict[str, Volume]:
    return {volume.full_name: volume for volume in _volumes()}


def _owned(owner: Owner) -> list[Volume]:
    if programs.find("lvs") is None or not _MAPPER.exists():
        return []
    return [volume for volume in _volumes() if owner.owns(volume.name) and {_TAG, owner.mark} <= volume.tags]


def _check_pool(volumes: Mapping[str, Volume], volume: Volume, mount: Mount) -> None:
    pool = volumes.get(f"{volume.group}/{volume.pool}")
    used = max((pool.data or 0.0, pool.metadata or 0.0)) if pool is not None else 0.0
    if pool is not None and used >= _POOL_FULL:
        raise SnapshotError(
            f"{mount.target}: its thin pool {pool.full_name} is {used:.0f} % full, and a snapshot would take what is "
            f"left from all volumes in it: lvextend --size +… {pool.full_name} (or --poolmetadatasize +…)"
        )


def _is_busy(error: SnapshotError) -> bool:
    return re.search(r"in use|open|busy", str(error)) is not None
