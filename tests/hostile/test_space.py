"""Disk space and inodes: a client may use them up, and does no other harm by it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cya.archive.collect import collect
from cya.archive.directories import opened, remove
from cya.archive.state import State
from cya.config.root import RootConfig
from cya.errors import ArchiveError
from tests.archive.conftest import at
from tests.hostile.villain import Villain, as_user
from tests.hostile.world import COPIED, DAY, IGNORED, Outcome, Scene, World, in_time, needs_root, open_to_all, refused
from tests.mounts import small_file_system

pytestmark = needs_root

MIB = 1 << 20


def sparse(size: int) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        names = it.upload(DAY)
        os.truncate(it.volume(names), size)
        marker = json.loads((it.next / "FINISHED").read_text())
        for file in marker["files"]:
            file["size"] = (it.next / file["name"]).stat().st_size
        (it.next / "FINISHED").write_text(json.dumps(marker))

    return attack


def with_a_hole_inside(it: Scene) -> None:
    names = it.write(DAY)
    with it.volume(names).open("r+b") as file:
        file.write(b"x" * 8192)
        file.seek(64 * MIB)
        file.write(b"x" * 8192)
    it.finish(names)


def larger_than(size: int) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        names = it.write(DAY, volumes=2)
        for name in names:
            if ".vol" in name:
                (it.next / name).write_bytes(os.urandom(size // 2 + 1))
        it.finish(names)

    return attack


def finished_too_early(it: Scene) -> Iterator[None]:
    """The marker is written while a file still is."""
    names = it.upload(DAY)
    file = it.volume(names).open("ab")
    yield
    with suppress(OSError):
        file.write(b"more")
        file.flush()


ATTACKS: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "8 TiB of nothing": (sparse(8 << 40), refused("has holes")),
    "1 GiB of nothing": (sparse(1 << 30), refused("has holes")),
    "a hole between data": (with_a_hole_inside, refused("has holes")),
    "a file of no bytes": (sparse(0), refused("is empty")),
    "8 TiB of nothing, unfinished": (
        lambda it: os.truncate(it.volume(it.write(DAY)), 8 << 40),
        IGNORED,
    ),
    "the marker too early": (finished_too_early, COPIED),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_sizes_that_lie_are_seen_before_they_are_read(world: World, attack: str) -> None:
    world.withstands(*ATTACKS[attack])


def test_more_than_max_batch_is_refused_also_when_it_is_only_announced(make_world: Callable[..., World]) -> None:
    """A process that has a file open could make it as large, while the others are read."""

    def attack(it: Scene) -> None:
        it.upload(DAY)
        marker = json.loads((it.next / "FINISHED").read_text())
        marker["files"][0]["size"] = 8 << 40
        (it.next / "FINISHED").write_text(json.dumps(marker))

    make_world(max_batch=1).withstands(attack, refused("max_batch in cya.toml is 1 MiB"))


@pytest.mark.parametrize("commit", ["link", "copy"])
def test_more_than_max_batch_is_refused(make_world: Callable[..., World], commit: str) -> None:
    make_world(max_batch=1, commit=commit).withstands(larger_than(MIB), refused("max_batch in cya.toml is 1 MiB"))


def test_a_file_that_grows_for_ever_is_not_copied_for_ever(make_world: Callable[..., World]) -> None:
    def attack(it: Scene) -> Iterator[None]:
        names = it.write(DAY)
        fd = os.open(it.volume(names), os.O_WRONLY | os.O_APPEND)
        it.next.rename(it.incoming / "finished")
        yield
        block = b"x" * MIB
        for _ in range(1_000):  # the space of this machine has an end, too
            os.write(fd, block)

    world = make_world(commit="copy", handover="rename")
    with Villain(world.villain.user, attack, world.villain) as villain:
        villain.let_loose()
        time.sleep(0.05)
        with in_time(2):
            done = collect(world.villain.root, at(DAY))
    assert "has grown" in done.refused[0]
    world.goes_on()


def fill(it: Scene) -> None:
    """Take the last byte."""
    it.write(DAY)
    with (it.next / "rest").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def use_all_inodes(it: Scene) -> None:
    it.write(DAY)
    with suppress(OSError):
        for number in range(1 << 30):
            (it.next / f"x{number}").touch()


@pytest.mark.parametrize("attack", [fill, use_all_inodes])
def test_a_full_disk_costs_nobody_a_backup_that_is_there(tmp_path: Path, attack: Callable[[Scene], object]) -> None:
    """Where clients share a file system without quotas, one can keep the others from uploading; no more than that."""
    with open_to_all() as base, small_file_system(base / "disk", 12) as place:
        subprocess.run(["chmod", "755", place], check=True)
        world = World(place, RootConfig())
        world.collect(world.victim, DAY)
        as_user(world.victim.user, lambda: world.victim.upload(DAY))
        before = world.picture()
        as_user(world.villain.user, lambda: attack(world.villain))
        world.collect(world.villain, DAY)
        world.unharmed(before, world.picture())
        tree = {path: path.lstat().st_ino for path in (world.victim.root / "backups").rglob("*") if path.is_file()}
        with pytest.raises(ArchiveError, match="file system is full"):
            world.collect(world.victim, DAY)
        assert {path: path.lstat().st_ino for path in tree} == tree
        as_user(world.villain.user, lambda: list(map(Path.unlink, world.villain.next.iterdir())))
        done = world.collect(world.victim, DAY)
        assert (len(done.committed), done.state) == (1, State.SERVED)
        world.collect(world.villain, DAY)
        world.goes_on()


def test_below_the_reserve_a_client_is_served_no_more(tmp_path: Path) -> None:
    with open_to_all() as base, small_file_system(base / "disk", 12) as place:
        subprocess.run(["chmod", "755", place], check=True)
        world = World(place, RootConfig(reserve=4))

        def take_up(it: Scene) -> None:
            names = it.write(DAY)
            space = os.statvfs(it.next)
            with it.volume(names).open("wb") as file:
                file.write(b"x" * (space.f_bavail * space.f_frsize - 3 * MIB))
            it.finish(names)

        as_user(world.villain.user, lambda: take_up(world.villain))
        with in_time(), pytest.raises(ArchiveError, match="the reserve is 4 MiB"):
            collect(world.villain.root, at(DAY))
        assert list((world.villain.root / "backups").rglob("*20121206T*"))
        assert list(world.villain.incoming.iterdir()) == []
        world.collect(world.victim, DAY)


@pytest.mark.parametrize("kind", ["side by side", "one in the other"])
def test_thousands_of_directories_are_removed_in_time(tmp_path: Path, kind: str) -> None:
    (tmp_path / "next").mkdir()
    fd = os.open(tmp_path / "next", os.O_RDONLY)
    for number in range(5_000 if kind == "side by side" else 1_500):
        os.mkdir(f"d{number}", dir_fd=fd)
        os.mkdir(f"d{number}/empty", dir_fd=fd)
        if kind == "one in the other":
            inner = os.open(f"d{number}", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = inner
    os.close(fd)
    with opened(tmp_path) as top, in_time():
        remove("next", top)
    assert list(tmp_path.iterdir()) == []


def test_a_removal_that_was_killed_is_gone_on_with(tmp_path: Path) -> None:
    """Directories that it had moved up lie beside it, and are in the way of nothing."""
    for name in ("next/a/b", "next.removed-0/c/d", "next.removed-1/x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    with opened(tmp_path) as top:
        remove("next", top)
    assert list(tmp_path.iterdir()) == []
