"""Repositories with a history: a tree that changes by 1 % forty times, and is backed up by each tool each time."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import change
from bench.picture import picture
from bench.tools import TOOLS, environment

_DONE = "history.json"
_FEW = 2048
_SOME = 1000


@dataclass(frozen=True)
class History:
    """What was made.

    :ivar place: of all; a directory for each tool lies in it.
    :ivar tree: what was backed up, as it is after the last change.
    :ivar moments: by tool, when each backup had ended, seconds since the epoch.
    :ivar paths: by job, what it wants: None for everything; jobs that the tree has nothing for are left out.
    :ivar pictures: by number of the backup, then by job, what a restore has to give.
    """

    place: Path
    tree: Path
    moments: dict[str, list[int]]
    paths: dict[str, Path | None]
    pictures: dict[str, dict[str, str]]


def made(place: Path, original: Path, tools: list[str], chain: int, seen: list[int]) -> History:
    """Return a history that lies there, or make it.

    :param original: the tree to begin with; it is copied.
    :param chain: number of backups.
    :param seen: the numbers of the backups that will be restored.
    """
    tree, done = place / "source", place / _DONE
    if done.exists():
        noted: dict[str, Any] = json.loads(done.read_text())
        if set(tools) <= set(noted["moments"]) and {str(each) for each in seen} <= set(noted["pictures"]):
            paths = {job: Path(path) if path else None for job, path in noted["paths"].items()}
            return History(place, tree, noted["moments"], paths, noted["pictures"])
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    subprocess.run(["cp", "--archive", original, tree], check=True)
    for tool in tools:
        own = place / tool
        (own / "repository").mkdir(parents=True)
        for command in TOOLS[tool].setup(own, tree):
            subprocess.run(command, env=environment(own), check=True, capture_output=True)
    paths = _chosen(tree)
    moments: dict[str, list[int]] = {tool: [] for tool in tools}
    pictures: dict[str, dict[str, str]] = {}
    for number in range(chain):
        if number:
            change.apply(tree, place / "kept", seed=number, spared=_spared(tree, paths))
            shutil.rmtree(place / "kept")  # so the change stays
        if number in seen:
            pictures[str(number)] = {job: picture(tree / (path or "")) for job, path in paths.items()}
        time.sleep(1.1)  # a backup's time is in whole seconds
        for tool in tools:
            _back_up(tool, place / tool, tree, number)
            moments[tool].append(int(time.time()))
        print(f"backup {number + 1} of {chain} is made", flush=True)
    texts = {job: str(path) if path else None for job, path in paths.items()}
    done.write_text(json.dumps({"moments": moments, "paths": texts, "pictures": pictures}) + "\n")
    return History(place, tree, moments, paths, pictures)


def _back_up(tool: str, own: Path, tree: Path, number: int) -> None:
    command = TOOLS[tool].commands(own, tree, number)
    done = subprocess.run(command, env=environment(own), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tool}, backup {number}: exit {done.returncode}\n{done.stderr[-2000:]}")


def _chosen(tree: Path) -> dict[str, Path | None]:
    """Choose a small file that lies deep, and a directory with about a thousand files."""
    chosen: dict[str, Path | None] = {"everything": None}
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    small = [path for path in files if 0 < path.stat().st_size <= _FEW]
    if small:
        chosen["one file"] = max(small, key=lambda path: len(path.parts)).relative_to(tree)
        held: dict[Path, int] = {}
        for path in files:
            for above in path.relative_to(tree).parents[:-1]:
                held[above] = held.get(above, 0) + 1
        if held:
            chosen["a directory"] = min(sorted(held), key=lambda path: abs(held[path] - _SOME))
    return chosen


def _spared(tree: Path, paths: dict[str, Path | None]) -> Path | None:
    path = paths.get("one file")
    return tree / path if path else None
