"""How each tool restores a backup, or a path of it, into an empty directory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.tools import TOOLS, environment
from cya import clock


@dataclass(frozen=True)
class Wanted:
    """What is to be restored.

    :ivar number: of the backup, from 0.
    :ivar moment: seconds since the epoch: its time, or any before the next one's.
    :ivar path: relative to the tree; None for everything.
    """

    number: int
    moment: int
    path: Path | None = None


Restorer = Callable[[Path, Path, Wanted, Path], tuple[list[str], Path]]
"""Given the tool's own place, the tree, what is wanted and an empty directory: what is run, and where what was wanted
lies then."""


def _cya(place: Path, tree: Path, wanted: Wanted, to: Path) -> tuple[list[str], Path]:
    words = ["restore", str(to), "--config", f"{place}/bench.toml", "--time", clock.iso(wanted.moment)]
    words += ["--path", str(wanted.path)] if wanted.path else []
    return [sys.executable, "-m", "cya", *words], to / (wanted.path or "")


def _duplicity(place: Path, tree: Path, wanted: Wanted, to: Path) -> tuple[list[str], Path]:
    """It gives what is restored the name of the target, which must not be there unless it is everything."""
    program, target = TOOLS["duplicity"].version[0], to / "restored"
    words = [f"--archive-dir={place}/home/cache", "-v2", "--time", str(wanted.moment)]
    words += ["--file-to-restore", str(wanted.path)] if wanted.path else []
    return [program, "restore", *words, f"file://{place}/repository", str(target)], target


def _duplicity3(place: Path, tree: Path, wanted: Wanted, to: Path) -> tuple[list[str], Path]:
    command, target = _duplicity(place, tree, wanted, to)
    renamed = ["--path-to-restore" if word == "--file-to-restore" else word for word in command[1:]]
    return [TOOLS["duplicity3"].version[0], *renamed], target


def _borg(place: Path, tree: Path, wanted: Wanted, to: Path) -> tuple[list[str], Path]:
    """It restores into the current directory."""
    within = tree.relative_to("/") / (wanted.path or "")
    words = ["borg", "extract", f"{place}/repository/borg::{wanted.number}", str(within)]
    return ["env", "-C", str(to), *words], to / within


def _restic(place: Path, tree: Path, wanted: Wanted, to: Path) -> tuple[list[str], Path]:
    """Its snapshots have no names; by time they are in the order in which they were made."""
    restic = ["restic", "--quiet", "--repo", f"{place}/repository"]
    listed = subprocess.run(
        [*restic, "snapshots", "--json"], env=environment(place), capture_output=True, text=True, check=True
    )
    snapshots = sorted(json.loads(listed.stdout), key=lambda each: str(each["time"]))
    words = ["restore", snapshots[wanted.number]["id"], "--target", str(to)]
    words += ["--include", str(tree / wanted.path)] if wanted.path else []
    return [*restic, *words], to / tree.relative_to("/") / (wanted.path or "")


RESTORERS: dict[str, Restorer] = {
    "native": _cya,
    "cya-duplicity": _cya,
    "duplicity": _duplicity,
    "duplicity3": _duplicity3,
    "borg": _borg,
    "restic": _restic,
}
"""By the names of the tools."""
