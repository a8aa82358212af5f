"""Where a fleet lies: in memory, where an fsync costs nothing; in a directory; on an ext4 of its own on a loop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
PLACES = ("memory", "place", "loop")


@contextmanager
def opened(kind: str, place: Path, megabytes: int, inodes: int) -> Iterator[tuple[Path, str] | None]:
    """Give an empty directory and what it lies on, for people; None, and why on stderr, where there is no such place.

    :param place: the directory for ``place``, and where the file of ``loop`` lies.
    :param megabytes, inodes: what the file system of ``loop`` has to hold.
    """
    if (lacking := _lacking(kind)) is not None:
        print(f"bench: not on {kind}: {lacking}", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="bench-", dir=MEMORY if kind == "memory" else place) as directory:
        if kind != "loop":
            yield Path(directory), _shown(Path(directory))
            return
        image, mounted = Path(directory, "image"), Path(directory, "mounted")
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-N", str(inodes), image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
        try:
            yield mounted, f"{_shown(mounted)} on a loop device, its file on {_shown(place)}"
        finally:
            # Lazily: after Ctrl-C what was measured may not have ended yet.
            subprocess.run(["umount", "--lazy", mounted], check=True)


def _lacking(kind: str) -> str | None:
    if kind == "memory" and not os.access(MEMORY, os.W_OK):
        return f"{MEMORY} cannot be written to"
    if kind == "loop" and os.geteuid() != 0:
        return "needs root, to mount"
    return "no mkfs.ext4 here" if kind == "loop" and shutil.which("mkfs.ext4") is None else None


def _shown(place: Path) -> str:
    """The type of the file system that a directory lies on."""
    found = subprocess.run(["df", "--output=fstype", place], capture_output=True, text=True, check=True)
    return found.stdout.split()[-1]
