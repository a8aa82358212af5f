"""The table ``snapshot`` of a client's config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cya.config.keys import key

_SIZE = re.compile(r"[1-9][0-9]{0,8}[MGT]|([1-9][0-9]?|100)%", re.ASCII)


def _size(text: str) -> bool:
    return _SIZE.fullmatch(text) is not None


def _places(paths: tuple[Path, ...]) -> bool:
    return all(path.is_absolute() and ".." not in path.parts and "\0" not in str(path) for path in paths)


class SnapshotConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``snapshot``."""

    kind: Annotated[
        Literal["none", "auto", "lvm", "btrfs", "zfs"],
        key(
            '"none", "auto", "lvm", "btrfs" or "zfs"',
            'Read the source as it is at one moment. "auto": of each file system at and below the source a snapshot is '
            "taken if it can be (LVM, btrfs, ZFS); the others are read as they are. The name of a kind: the source has "
            "to be of that kind. Needs root. `cya snapshots` shows what would be done.",
            example="auto",
        ),
    ] = "none"
    size: Annotated[
        str,
        key(
            'a part of the volume such as "10%", or a size such as "5G" (M, G, T)',
            "Room for what changes in the source while it is read, of a classic (not thin) LVM snapshot. The volume "
            "group must have it free. If it does not do, the backup fails.",
            check=_size,
        ),
    ] = "10%"
    live: Annotated[
        tuple[Path, ...],
        key(
            "a list of absolute mount points",
            "Mount points of file systems of which no snapshot is taken; they are read as they are.",
            example=("/var/lib/docker",),
            check=_places,
        ),
    ] = ()
