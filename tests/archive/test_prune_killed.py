"""A prune that is killed before any of its changes leaves whole directories, and what the next run removes.

The same with the power cut, on real ext4 and XFS.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cya import renaming
from cya.archive.check import run as checking
from cya.archive.check.run import check
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.archive.prune import prune
from cya.config.root import RootConfig
from cya.tree import layout
from tests.archive.conftest import Site, at
from tests.archive.test_kill_at_every_step import changes_of, killed_at
from tests.archive.test_lend_killed import root, set_up
from tests.archive.test_power_cut import Client, check_sound, disk
from tests.mounts import Cut, JournalledFileSystem, memory

__all__ = ["disk", "root"]

DAYS = [f"2012-12-{day:02}" for day in (4, 5, 6, 9, 10, 12, 13, 14, 16, 17)]
FULL = ("2012-12-12", "2012-12-13", "2012-12-14")
"""So that there are chains in the coarse directories that are superseded."""
LAST, LATER = DAYS[-1], "2012-12-18"
KEEP = {"week": 1, "month": 1}
LEFT = ["2012-12-04", "2012-12-09", "2012-12-14", "2012-12-16", "2012-12-17"]


def _prune(root: Path) -> object:
    return prune(root, at(LAST), KEEP, force=True)


def _collect(root: Path) -> object:
    return collect(root, at(LATER))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "PAUSES", (0.0,))


@pytest.fixture(scope="module")
def templates() -> Iterator[dict[str, Path]]:
    """A root to prune, and one in which the upload of another day waits, and which is pruned when it is collected."""
    with memory() as place:
        roots = {name: place / name / "web1" for name in ("prune", "collect")}
        for name, root in roots.items():
            init_archive(root, RootConfig(keep=KEEP, prune=name == "collect"))
            site = Site(root)
            for day in DAYS:
                site.day(day, full=day in FULL, volumes=2)
                (root / "state/log").unlink()  # alarms hold
            if name == "collect":
                site.upload(LATER)
        yield roots


def check_whole(root: Path, *days: str, window: bool = False) -> None:
    """Whoever looks sees directories that are whole, and everything that is to stay.

    :param window: a directory may be missing for a moment.
    """
    found = Site(root).catalog
    assert not any(directory.chains.orphans for directory in found.directories)
    assert all(files.is_complete for directory in found.directories for files in directory.sets.values())
    listed = {backup.increment.end for backup in found.backups if backup.chain is not None}
    assert window or {int(at(day).timestamp()) for day in days} <= listed
    assert [finding for finding in check(root, at("2012-12-20")).findings if finding.damage] == []


def listing(root: Path) -> list[str]:
    """All of a root but what its checks have written."""
    return [line for line in Site(root).listing() if not line.startswith("state/check")]


def leftovers(root: Path) -> list[str]:
    return [name for name in os.listdir(root / "state") if name in (layout.PRUNING, layout.PRUNED, layout.TRIMMED)]


WORKS: dict[str, Callable[[Path], object]] = {"prune": _prune, "collect": _collect}


@pytest.mark.parametrize("name", WORKS)
def test_a_prune_killed_at_every_step_leaves_whole_directories_and_is_gone_on_with(
    name: str, templates: dict[str, Path], root: Path
) -> None:
    work = WORKS[name]
    set_up(templates[name], root)
    steps = changes_of(lambda: work(root))
    check_whole(root, *LEFT)
    assert len(Site(root).catalog.backups) == len(LEFT) + (name == "collect")
    assert not leftovers(root)
    undisturbed = listing(root)
    for step in range(1, len(steps) + 1):
        set_up(templates[name], root)
        try:
            assert killed_at(step, lambda: work(root))
            check_whole(root, *LEFT)
            work(root)
            if name == "collect":  # if the backup was committed before the kill, nothing but a prune by hand is left
                prune(root, at(LATER), force=True)
            assert not leftovers(root)
            check_whole(root, *LEFT)
            assert listing(root) == undisturbed
        except Exception as error:
            raise AssertionError(f"killed before step {step} of {len(steps)}, {steps[step - 1]}") from error


def test_what_a_killed_prune_has_left_is_finished_by_a_collect(templates: dict[str, Path], root: Path) -> None:
    set_up(templates["prune"], root)
    steps = len(changes_of(lambda: _prune(root)))
    for step in range(1, steps + 1, 3):
        set_up(templates["prune"], root)
        assert killed_at(step, lambda: _prune(root))
        collect(root, at(LAST))
        assert not leftovers(root)
        check_whole(root, *LEFT)
        there = {path.name for path in root.glob("backups/**/*.manifest.gpg")}
        entries = {path.name.removesuffix(".sha256").split(".")[-1] for path in root.glob("state/ledger/*")}
        for entry in entries:  # the ledger knows nothing that lies nowhere, and all that lies somewhere
            assert any(f".{entry}.manifest" in name for name in there), step
        assert len({name.split(".")[-3] for name in there}) == len(entries), step


def test_where_directories_cannot_change_places_the_next_run_puts_the_new_one_there(
    templates: dict[str, Path], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on GlusterFS. Between two renames the directory is missing, and what lies only there is not listed."""
    set_up(templates["prune"], root)
    _prune(root)
    pruned = listing(root)
    monkeypatch.setattr(renaming, "exchange", lambda *names: False)
    set_up(templates["prune"], root)
    steps = len(changes := changes_of(lambda: _prune(root)))
    swaps = {
        near for n, change in enumerate(changes, 1) if "files" in change.split() for near in (n - 2, n - 1, n, n + 1)
    }
    for step in sorted(swaps):
        set_up(templates["prune"], root)
        try:
            assert killed_at(step, lambda: _prune(root))
            check_whole(root, *LEFT, window=True)
            collect(root, at(LAST))
            check_whole(root, *LEFT)
            _prune(root)
            assert listing(root) == pruned
        except Exception as error:
            raise AssertionError(f"killed before step {step} of {steps}") from error


def test_a_prune_that_is_killed_twice_is_gone_on_with(templates: dict[str, Path], root: Path) -> None:
    set_up(templates["prune"], root)
    steps = len(changes_of(lambda: _prune(root)))
    undisturbed = listing(root)
    draw, both = random.Random(2012), 0
    for _ in range(60):
        first, second = draw.randint(1, steps), draw.randint(1, steps)
        set_up(templates["prune"], root)
        try:
            assert killed_at(first, lambda: _prune(root))
            both += killed_at(second, lambda: _prune(root))
            check_whole(root, *LEFT)
            _prune(root)
            assert listing(root) == undisturbed
        except Exception as error:
            raise AssertionError(f"killed before step {first}, then before step {second}") from error
    assert both > 15


# ---------------------------------------------------------------------------------------------------------------------
# Power cuts


def begin(disk: JournalledFileSystem, name: str) -> Client:
    """A root whose history is on the disk."""
    for former in disk.place.glob("*/backups"):
        shutil.rmtree(former.parent)
    root = disk.place / name
    init_archive(root, RootConfig())
    client = Client(root)
    for day in DAYS:
        client.day(day, full=day in FULL, volumes=2)
        (root / "state/log").unlink()
    disk.sync()
    return client


@pytest.mark.parametrize("how", Cut, ids=lambda how: how.name)
def test_a_prune_that_the_power_cut_stops_anywhere_is_gone_on_with(disk: JournalledFileSystem, how: Cut) -> None:
    counted = begin(disk, f"counted {how.name}")
    steps = changes_of(lambda: _prune(counted.root))
    renames = [number for number, step in enumerate(steps, 1) if step.startswith("rename")]
    points = {*renames, *(number + 1 for number in renames), *random.Random(7).sample(range(1, len(steps)), 8)}
    for point in sorted(points):
        client = begin(disk, f"{point} {how.name}")
        try:
            assert killed_at(point, lambda: _prune(client.root))  # noqa: B023
            disk.cut(how)
            check_sound(client, *LEFT)
            _prune(client.root)
            assert not leftovers(client.root)
            assert len(client.catalog.backups) == len(LEFT)
            client.day(LATER)
            check_sound(client, *LEFT, LATER)
        except Exception as error:
            raise AssertionError(f"{how.name} before step {point} of {len(steps)}, {steps[point - 1]}") from error


@pytest.mark.parametrize("how", Cut, ids=lambda how: how.name)
def test_what_a_prune_has_deleted_when_it_returns_stays_deleted(disk: JournalledFileSystem, how: Cut) -> None:
    client = begin(disk, f"returned {how.name}")
    _prune(client.root)
    disk.cut(how)
    check_sound(client, *LEFT)
    assert len(client.catalog.backups) == len(LEFT)
    assert not leftovers(client.root)
