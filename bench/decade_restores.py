"""Restores days of long ago, and compares each with what the tree was then."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import building, trees
from bench.building import DAY
from bench.contained import Taken, contained
from bench.keeping import Keeper
from bench.life import lived
from bench.picture import picture
from bench.tools import environment

AGES = {"newest": 0.0, "a year old": 1.0, "nine years old": 9.0}
"""By what they are called, years before the last day."""
_SHORT = 30.0
"""Seconds: what takes longer is measured once."""
_OPEN_FILES = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] % 2**64, 1 << 20)
"""Stock duplicity opens a volume of each increment at once; the usual 1024 are too few for a chain of years."""


def measured(
    work: Path, names: list[str], first: int, days: int, rounds: int, patience: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the keeper's label and what a restore took, of each keeper, age and program; round by round.

    :param first: seconds since the epoch of the first of ``days`` daily backups.
    :param patience: seconds after which one is broken off.
    """
    truths: dict[int, str] = {}
    long: set[tuple[str, str, str]] = set()
    for number in range(rounds):
        for keeper in [keeper for name in names for keeper in building.keepers(name, work)]:
            kept = keeper.kept()
            for age, years in AGES.items():
                wanted = first + (days - 1) * DAY - round(365 * years) * DAY
                moment = max((each for each in kept if each <= wanted), default=None)
                if moment is None:
                    continue
                if moment not in truths:
                    truths[moment] = _truth(work, first, moment)
                for program in _programs(keeper, moment):
                    what = (keeper.label, age, program)
                    if what in long:
                        continue
                    taken = _restored(keeper, moment, program, truths[moment], patience)
                    if taken.wall > _SHORT:
                        long.add(what)
                    each = {"age": age, "program": program, "round": number, "read": kept[moment], **asdict(taken)}
                    each["days_off"] = (wanted - moment) // DAY
                    print(f"{keeper.label}, {age}, {program}: {taken.wall:.2f} s", flush=True)
                    yield keeper.label, each


def _programs(keeper: Keeper, moment: int) -> list[str]:
    return list(keeper.restores(moment, Path(), Path("/")))


def _restored(keeper: Keeper, moment: int, program: str, truth: str, patience: float) -> Taken:
    """Restore as on a new machine: without anything that the program keeps beside the repository."""
    with tempfile.TemporaryDirectory(dir=keeper.place, prefix="restore-") as place:
        own, to = Path(place), Path(place, "to")
        to.mkdir()
        surroundings = environment(own)
        command, where = keeper.restores(moment, own / "home", to)[program]
        trees.counted(keeper.repository)  # so it is in memory
        limits = ["prlimit", f"--nofile={_OPEN_FILES}:", "timeout", f"{patience}"]
        taken = contained([*limits, *command], to, own / "log", surroundings)
        what = f"{keeper.label}, {program}, the backup of {moment}"
        if taken.exit == 124:  # timeout's own
            return taken
        if taken.exit:
            raise SystemExit(f"{what}: exit {taken.exit}\n{(own / 'log').read_text(errors='replace')[-2000:]}")
        if picture(where) != truth:
            raise SystemExit(f"{what}: what was restored is not what the tree was")
        return taken


def _truth(work: Path, first: int, moment: int) -> str:
    tree = work / "truth"
    shutil.rmtree(tree, ignore_errors=True)
    lived(tree, first, (moment - first) // DAY)
    found = picture(tree)
    shutil.rmtree(tree)
    return found
