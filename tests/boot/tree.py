"""A whole Debian in a directory, with cya in it, and disks that are made of directories."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from tests.machine.guest import empty_disk

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent
CACHE = os.environ.get("CYA_BOOT_TREE", "/var/tmp/cya-boot-tree")
"""Where the Debian is kept for the next run; whoever deletes it waits for a minute or two of downloads."""
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def debian() -> Path:
    """Return a directory with a Debian, which nobody may change."""
    place = Path(CACHE)
    made = place / "made"
    recipe = (HERE / "system.sh").read_text()
    if not made.exists() or made.read_text() != recipe:
        shutil.rmtree(place / "tree", ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        with (place / "log").open("wb") as log:
            subprocess.run(["sh", HERE / "system.sh", place / "tree"], check=True, stdout=log, stderr=subprocess.STDOUT)
        made.write_text(recipe)
    return place / "tree"


def with_cya(tree: Path, to: Path) -> Path:
    """Copy the tree, and put cya of this checkout into it: what it runs on is in it, but no registry can be reached."""
    subprocess.run(["cp", "-a", "--reflink=auto", tree, to], check=True)
    packages = to / "opt/cya"
    shutil.copytree(PROJECT / "src/cya", packages / "cya", ignore=shutil.ignore_patterns("__pycache__"))
    for source in _installed():
        target = packages / source[1]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source[0], target)
    (to / "root/boot").mkdir()
    for script in HERE.glob("*.sh"):
        shutil.copy2(script, to / "root/boot")
    command = to / "usr/local/bin/cya"
    command.write_text('#!/bin/sh\nPYTHONPATH=/opt/cya exec /usr/bin/python3 -m cya "$@"\n')
    command.chmod(0o755)
    return to


def _installed() -> Iterator[tuple[Path, Path]]:
    """Yield the files of all that requirements.txt names: where they are, and their relative paths."""
    for line in (PROJECT / "requirements.txt").read_text().splitlines():
        name = line.partition("==")[0]
        if name and not name.startswith("#"):
            for file in distribution(name).files or ():
                if ".." not in file.parts and file.suffix != ".pyc":
                    yield Path(str(file.locate())), Path(*file.parts)


def disk(file: Path, megabytes: int, tree: Path | None = None, label: str = "") -> Path:
    """Make an empty disk, or one that is a file system with the contents of a directory."""
    empty_disk(file, megabytes)
    if tree is not None:
        command = ["mke2fs", "-q", "-t", "ext4", "-L", label, "-d", str(tree), str(file)]
        subprocess.run(command, check=True, env={"PATH": _PATH})
    return file
