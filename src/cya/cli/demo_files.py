"""The demo's material: a copy of real files that changes from day to day, and what it was like on each day."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import shutil
import stat
import sysconfig
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cya.errors import UsageError

MOST_FILES = 3000
MOST_BYTES = 48 << 20
LARGEST = 1 << 20


def default_source() -> Path:
    """Return real files that every machine has: the system's documentation, or where more of them are."""
    library = Path(sysconfig.get_path("stdlib"))
    for place in (Path("/usr/share/doc"), Path("/usr/share"), library):
        names = (name for _, _, names in os.walk(place) for name in names)
        if sum(1 for _ in itertools.islice(names, MOST_FILES)) == MOST_FILES:
            return place
    return library


def copy_some(source: Path, destination: Path) -> None:
    """Copy files and links of ``source``, as far as the demo's limits go.

    :raises UsageError: when there is nothing to copy.
    """
    files = size = 0
    for folder, folders, names in os.walk(source):
        folders.sort()
        below = destination / Path(folder).relative_to(source)
        for name in sorted(names):
            path = Path(folder) / name
            found = path.lstat()
            wanted = stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST)
            if not wanted or not os.access(path, os.R_OK, follow_symlinks=False):
                continue
            below.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, below / name, follow_symlinks=False)
            files += 1
            size += found.st_size
            if files >= MOST_FILES or size >= MOST_BYTES:
                return
    if not files:
        raise UsageError(f"--source {source}: there are no files that can be read")


@dataclass(frozen=True)
class Changes:
    """How many files a day changed, added, deleted and renamed."""

    changed: int
    added: int
    deleted: int
    renamed: int

    def __str__(self) -> str:
        return f"{self.changed} changed, {self.added} added, {self.deleted} deleted, {self.renamed} renamed"


def live_a_day(top: Path, chance: random.Random, day: str) -> Changes:
    """Change, add, delete and rename some files."""
    files = sorted(
        path for path in top.rglob("*") if path.is_file() and not path.is_symlink() and os.access(path, os.W_OK)
    )
    picked = chance.sample(files, min(len(files), 9))
    morning = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    for path in picked[:4]:
        with path.open("ab") as file:
            file.write(f"changed on {day}\n".encode())
        os.utime(path, (morning, morning))  # duplicity sees changes by whole seconds; these days are shorter
    for path in picked[4:6]:
        path.unlink()
    for path in picked[6:9]:
        path.rename(path.with_name(f"{path.name}.renamed-{day}"))
    notes = top / f"notes of {day}"
    notes.mkdir()
    for number in range(3):
        (notes / f"page {number}.txt").write_bytes(chance.randbytes(chance.randrange(20_000)))
    return Changes(len(picked[:4]), 3, len(picked[4:6]), len(picked[6:9]))


Picture = dict[str, tuple[int, int, str]]
"""For each path: type and mode, whole seconds of its mtime (0 for links: the format has none), contents or target."""


def picture(top: Path) -> Picture:
    """Write down what is there, to compare with later."""
    seen: Picture = {}
    for folder, folders, names in os.walk(top):
        for path in (Path(folder) / name for name in [".", *names, *folders]):
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                seen[str(path.relative_to(top))] = (stat.S_IFLNK, 0, os.readlink(path))
            elif stat.S_ISREG(found.st_mode):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                seen[str(path.relative_to(top))] = (found.st_mode, int(found.st_mtime // 1), digest)
            else:
                seen[str(path.relative_to(top))] = (found.st_mode, int(found.st_mtime // 1), "")
    return seen


def differences(was: Picture, restored: Picture) -> list[str]:
    """Return the paths that are not as they were."""
    return sorted(path for path in was.keys() | restored.keys() if was.get(path) != restored.get(path))
