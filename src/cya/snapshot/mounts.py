"""Which file systems lie at a directory and below it, as ``findmnt`` tells; those that are hidden are left out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cya.errors import SnapshotError
from cya.snapshot import programs

_COLUMNS = "ID,TARGET,SOURCE,FSTYPE,FSROOT,MAJ:MIN"
_LINE = re.compile(r"^mnt_id:\s*(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Mount:
    """One mounted file system, or a part of one that is mounted at a second place.

    :ivar id: as in ``/proc/self/mountinfo``.
    :ivar target: where it is mounted.
    :ivar source: the device, or the data set.
    :ivar type: such as ``ext4``.
    :ivar root: the directory of the file system that is mounted; ``/`` but for bind mounts and btrfs subvolumes.
    :ivar device: ``MAJOR:MINOR``.
    """

    id: int
    target: Path
    source: str
    type: str
    root: Path
    device: str


def mounts() -> list[Mount]:
    """Return all mounts of this process' namespace, as they were mounted one after the other."""
    said = programs.report(
        "findmnt", "--json", "--list", "--nofsroot", f"--output={_COLUMNS}", doing="looking what is mounted"
    )
    found = []
    for each in (said or {}).get("filesystems", ()):
        place = Path(each["target"])
        kind = (each["source"] or "", each["fstype"] or "", Path(each["fsroot"] or "/"), each["maj:min"] or "")
        found.append(Mount(int(each["id"]), place, *kind))
    return found


def below(source: Path) -> tuple[Mount, list[Mount]]:
    """Return the mount that a directory lies in, and those that can be seen below it, upper ones first.

    :param source: absolute, without symbolic links.
    :raises SnapshotError: when that cannot be found out.
    """
    found = mounts()
    number = _mount_of(source)
    here = next((each for each in found if each.id == number), None)
    if here is None:
        raise SnapshotError(f"{source}: findmnt does not know the file system that it lies in")
    inside = [each for each in found if each.target != source and each.target.is_relative_to(source)]
    visible = [each for each in inside if _is_visible(each)]
    return here, sorted(visible, key=lambda each: len(each.target.parts))


def _is_visible(mount: Mount) -> bool:
    """Whether its target leads to it: neither it nor a directory above it has been mounted over."""
    try:
        return _mount_of(mount.target) == mount.id
    except SnapshotError:
        return False


def _mount_of(path: Path) -> int:
    """Return the id of the mount that a path leads to. Nothing is mounted by asking (``O_PATH``)."""
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from error
    try:
        return mount_of(fd)
    finally:
        os.close(fd)


def mount_of(fd: int) -> int:
    """Return the id of the mount that something open lies in.

    :raises SnapshotError: when the kernel does not tell.
    """
    found = _LINE.search(Path(f"/proc/self/fdinfo/{fd}").read_text())
    if found is None:
        raise SnapshotError("the kernel does not tell what is mounted where (/proc/self/fdinfo): is /proc mounted?")
    return int(found[1])
