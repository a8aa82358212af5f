"""Lets a tree live for years, backed up each day by some keepers, and pruned every quarter and at the end.

Run as ``python -m bench.building NAME PLACE FIRST DAYS``: a process of its own, so that several are built side by side.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.keepers_cya import InTree
from bench.keepers_linear import Linear, Monthly
from bench.keepers_peers import Borg, Restic
from bench.keeping import Keeper, kept_at_the_end
from bench.life import Life

DAY = 86400
_QUARTER = 91
_YEAR = 365
_DONE = "built.json"
_ON_ONE_CORE = ("cya", "chains")


def _chains(place: Path, tree: Path) -> list[Keeper]:
    linear = Linear(place / "linear", tree)
    return [linear, Monthly(place / "monthly", tree, linear)]


BUILDERS: dict[str, Callable[[Path, Path], list[Keeper]]] = {
    "cya": lambda place, tree: [InTree(place / "tree", tree)],
    "chains": _chains,
    "borg": lambda place, tree: [Borg(place / "borg", tree)],
    "restic": lambda place, tree: [Restic(place / "restic", tree)],
}
"""By name, keepers of the same tree: ``place`` is where all lie, each in a directory of its own."""


def keepers(name: str, work: Path) -> list[Keeper]:
    """Return the keepers of a builder; nothing is made."""
    return BUILDERS[name](work / name, tree_of(name, work))


def tree_of(name: str, work: Path) -> Path:
    """Return where the tree of a builder lies."""
    return work / name / "source"


def is_built(name: str, work: Path, first: int, days: int) -> bool:
    """Whether all days are there already, and pruned."""
    done = work / name / _DONE
    return done.exists() and json.loads(done.read_text()) == {"first": first, "days": days}


def build(name: str, work: Path, first: int, days: int) -> None:
    """Make the backups of all days, or those that are not there yet: a process that was ended is gone on with.

    :param first: seconds since the epoch of the first backup; one a day follows.
    """
    place, begun = work / name, time.time()
    if (place / _DONE).exists() and not _goes_on(place, first, days):
        shutil.rmtree(place)
    place.mkdir(parents=True, exist_ok=True)
    (place / _DONE).write_text(json.dumps({"first": first, "days": 0}))
    if name in _ON_ONE_CORE:  # of so few changes a worker process on a second core costs more than it brings
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[_ON_ONE_CORE.index(name) % len(cores)]})
    shutil.rmtree(tree_of(name, work), ignore_errors=True)
    life, kept = Life(tree_of(name, work), first), keepers(name, work)
    for keeper in kept:
        keeper.begin()
    last = kept_at_the_end([first + day * DAY for day in range(days)])
    there = [max(keeper.kept(), default=0) for keeper in kept]
    for day in range(days):
        life.live(day)
        moment = first + day * DAY
        for keeper, newest in zip(kept, there, strict=True):
            if moment > newest and (moment in last or not keeper.only_kept):
                keeper.backup(moment)
                if day % _QUARTER == _QUARTER - 1:
                    keeper.prune()
        if day % _YEAR == _YEAR - 1:
            print(f"{name}: {day + 1} days of {days}, {time.time() - begun:.0f} s", flush=True)
    for keeper in kept:
        keeper.prune()
    (place / _DONE).write_text(json.dumps({"first": first, "days": days}))


def _goes_on(place: Path, first: int, days: int) -> bool:
    """Whether what is there can be added to: it began then, and is not longer."""
    done = json.loads((place / _DONE).read_text())
    return bool(done["first"] == first and done["days"] <= days)


def main() -> None:
    """Build what is on the command line."""
    name, work, first, days = sys.argv[1:]
    os.environ["TZ"] = "UTC"
    time.tzset()
    build(name, Path(work), int(first), int(days))


if __name__ == "__main__":
    main()
