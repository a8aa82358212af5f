"""A client that changes things while collect is at work on them, as fast as it can."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from cya.archive.collect import Collected, collect
from cya.archive.state import State
from cya.archive.upload import own as real_own
from cya.errors import ArchiveError
from tests.archive.conftest import at, digest
from tests.hostile.villain import Villain, as_user
from tests.hostile.world import DAY, LATER, Scene, World, in_time, needs_root, untouched

pytestmark = needs_root

SECONDS = 0.8
"""That each race is run for."""


def swapping(it: Scene) -> Iterator[None]:
    """Puts links in place of whatever root makes or takes in ``incoming/``, which it owns."""
    yield
    targets = [it.other / "incoming/next", it.secret, it.root / "state", it.other / "backups"]
    for number in range(1 << 40):
        for name in ("next", "finished", "next.new", "next.tmp", ".intake"):
            place, aside = it.incoming / name, it.own / f"{number % 50}-{name}"
            with suppress(OSError):
                os.rename(place, aside)
            with suppress(OSError):
                os.symlink(targets[number % 4], place)
            with suppress(OSError):
                os.unlink(place)
            with suppress(OSError):
                os.rename(aside, place)


def renaming_to_and_fro(it: Scene) -> Iterator[None]:
    yield
    while True:
        for one, other in (("next", "finished"), ("finished", "next")):
            with suppress(OSError):
                os.rename(it.incoming / one, it.incoming / other)


def emptying(it: Scene) -> Iterator[None]:
    """Deletes and makes everything in ``next``, served names, too."""
    names = [path.name for path in it.served] + it.upload(DAY) + ["FINISHED"]
    yield
    while True:
        for name in names:
            with suppress(OSError):
                os.unlink(it.next / name)
            with suppress(OSError):
                os.mkdir(it.next / name)
            with suppress(OSError):
                os.rmdir(it.next / name)
            with suppress(OSError):
                os.symlink(it.secret, it.next / name)
            with suppress(OSError):
                os.unlink(it.next / name)
            with suppress(OSError):
                (it.next / name).write_text("x")


def swapping_files(it: Scene) -> Iterator[None]:
    """Changes between a file and a link to root's by one rename, through a handle that it has on the directory."""
    names = it.upload(DAY)
    place = os.open(it.next, os.O_RDONLY)
    own = os.open(it.own, os.O_RDONLY)
    yield
    while True:
        for name in (*names, "FINISHED"):
            with suppress(OSError):
                os.symlink(it.secret, "link", dir_fd=own)
            with suppress(OSError):
                os.rename(name, "file", src_dir_fd=place, dst_dir_fd=own)
            with suppress(OSError):
                os.rename("link", name, src_dir_fd=own, dst_dir_fd=place)
            with suppress(OSError):
                os.rename("file", name, src_dir_fd=own, dst_dir_fd=place)


def linking(it: Scene) -> Iterator[None]:
    """Gives its files further names, to keep one that can be written after the commit."""
    names = it.upload(DAY)
    place = os.open(it.next, os.O_RDONLY)
    own = os.open(it.own, os.O_RDONLY)
    fds = [os.open(name, os.O_RDONLY, dir_fd=place) for name in names]
    yield
    while True:
        for name, fd in zip(names, fds, strict=True):
            with suppress(OSError):
                os.link(name, name, src_dir_fd=place, dst_dir_fd=own)
            with suppress(OSError):
                os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=own, follow_symlinks=True)
            with suppress(OSError):
                os.unlink(name, dir_fd=own)


def opening(it: Scene) -> Iterator[None]:
    """Opens its files for writing, again and again, and puts their mode and owner back."""
    names = it.upload(DAY)
    fds = [os.open(it.next / name, os.O_RDONLY) for name in names]
    yield
    while True:
        for fd in fds:
            with suppress(OSError):
                os.fchmod(fd, 0o6777)
            with suppress(OSError):
                again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
                os.pwrite(again, b"x", 0)
                os.close(again)


def cutting(it: Scene) -> Iterator[None]:
    """Lets a file grow to 8 TiB and shrink, so that it is small when it is looked at and large when it is read."""
    names = it.upload(DAY, volumes=3)
    sizes = {it.next / name: (it.next / name).stat().st_size for name in names}
    fds = {os.open(path, os.O_RDWR): size for path, size in sizes.items()}
    yield
    until = time.monotonic() + SECONDS / 2
    while time.monotonic() < until:
        for fd, size in fds.items():
            os.ftruncate(fd, 8 << 40)
            os.ftruncate(fd, size)
    for fd in fds:
        os.ftruncate(fd, 8 << 40)
        os.close(fd)
    while True:
        time.sleep(1)


def permissions(it: Scene) -> Iterator[None]:
    """Changes mode of ``next`` and of what is in it."""
    names = it.upload(DAY)
    fd = os.open(it.next, os.O_RDONLY)
    yield
    while True:
        for mode in (0, 0o7777):
            with suppress(OSError):
                os.fchmod(fd, mode)
            for name in names:
                with suppress(OSError):
                    os.chmod(name, mode, dir_fd=fd)


RACES: dict[str, tuple[str, Callable[[Scene], Iterator[None]]]] = {
    "links in incoming": ("rename", swapping),
    "next to finished and back": ("rename", renaming_to_and_fro),
    "emptying next": ("marker", emptying),
    "swapping files": ("marker", swapping_files),
    "linking": ("marker", linking),
    "opening": ("marker", opening),
    "cutting": ("marker", cutting),
    "modes": ("marker", permissions),
}


@pytest.mark.parametrize("race", RACES)
def test_a_race_wins_nothing(make_world: Callable[..., World], race: str) -> None:
    handover, attack = RACES[race]
    world = make_world(handover=handover)
    it = world.villain
    committed = {path for path in (it.root / "backups").rglob("*") if path.is_file()}
    before = world.picture()
    sums: dict[str, str] = {}
    with Villain(it.user, attack, it) as villain:
        villain.let_loose()
        until = time.monotonic() + SECONDS
        for _ in range(100_000):
            if time.monotonic() > until:
                break
            # An error is allowed here: it is the client's own root, and the next run goes on.
            done = one_run(world)
            new = {str(path) for path in (it.root / "backups").rglob("*") if path.is_file()} - set(map(str, committed))
            sums.update({path: digest(it.root / path) for path in new - sums.keys()})
            if done is not None and done.committed:
                time.sleep(0.05)
    after = world.picture()
    world.unharmed(before, after, sums.keys())
    assert {path: after[path].content for path in sums} == sums
    in_order_again(world)


def one_run(world: World, seconds: float = 20) -> Collected | None:
    try:
        with in_time(seconds):
            return collect(world.villain.root, at(DAY))
    except ArchiveError:
        return None


def in_order_again(world: World) -> None:
    """What the villain has deleted of what was served to it, it gets again with the next serving: after a refusal."""
    world.collect(world.villain, DAY)
    as_user(world.villain.user, lambda: (world.villain.next / "FINISHED").write_text("enough"))
    for _ in range(4):
        done = world.collect(world.villain, DAY)
    assert done.state is State.SERVED
    world.goes_on()


def at_once(make: Callable[[Scene], object]) -> Callable[[Scene], Iterator[None]]:
    """Does something to each ``next`` in the very moment in which it is served."""

    def attack(it: Scene) -> Iterator[None]:
        yield
        while True:
            with suppress(OSError):
                make(it)

    return attack


def finish_at_once(it: Scene) -> None:
    os.close(os.open(it.next / "FINISHED", os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def forge_at_once(it: Scene) -> None:
    name = "duplicity-full.20121204T030000Z.manifest.gpg"
    os.unlink(it.next / name)
    os.close(os.open(it.next / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


@pytest.mark.parametrize("act", [finish_at_once, forge_at_once])
def test_a_client_that_is_always_faster_does_not_keep_a_collect_at_work(
    world: World, act: Callable[[Scene], object]
) -> None:
    """One upload is dealt with in each run, and one ``next`` served: the rest waits for the next run."""
    before = world.picture()
    with Villain(world.villain.user, at_once(act), world.villain) as villain:
        villain.let_loose()
        time.sleep(0.1)
        for _ in range(3):
            done = one_run(world, 5)
            assert done is not None
            assert len(done.refused) <= 1
    world.unharmed(before, world.picture())
    assert len(list(world.villain.state.glob("quarantine/*"))) <= 4
    in_order_again(world)


def test_an_upload_that_begins_when_next_is_taken_back_is_not_lost(world: World) -> None:
    """Its period is over, and it is uploaded into in the very moment."""
    it = world.villain
    day = 7

    def upload_at_once(it: Scene) -> Iterator[None]:
        yield
        while True:
            for number in range(1, 1_000):
                with suppress(OSError):
                    os.close(os.open(it.next / f"x{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            for number in range(1, 1_000):
                with suppress(OSError):
                    os.unlink(it.next / f"x{number}")

    before = world.picture()
    with Villain(it.user, upload_at_once, it) as villain:
        villain.let_loose()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            day += 7
            with suppress(ArchiveError), in_time():
                collect(it.root, at("2012-12-06T03:00:00").replace(year=2013 + day // 300, month=1 + day % 12))
    world.unharmed(before, world.picture())
    shutil.rmtree(it.state / "quarantine", ignore_errors=True)
    world.goes_on("2099-03-03T03:00:00")


def test_a_file_that_grows_between_two_looks_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a process that has it open, waits for the first look, and closes it before the second."""
    as_user(world.villain.user, lambda: world.villain.upload(DAY))

    def own(fd: int, gid: int) -> None:
        os.truncate(f"/proc/self/fd/{fd}", 8 << 40)
        real_own(fd, gid)

    before = world.picture()
    with monkeypatch.context() as patch:
        patch.setattr("cya.archive.freeze.own", own)
        done = world.collect(world.villain, DAY)
    assert "has holes" in done.refused[0]
    world.unharmed(before, world.picture())
    world.goes_on()


def test_a_served_file_that_is_deleted_while_it_is_looked_at_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = os.scandir, list[int]()
    gone = world.villain.served[0]

    @contextmanager
    def scandir(fd: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        with real(fd) as entries:
            found = list(entries)
        if len(looks) == 1:  # the second look compares inodes
            gone.unlink()
        looks.append(fd)
        yield iter(found)

    with monkeypatch.context() as patch:
        patch.setattr("cya.archive.inspect.os.scandir", scandir)
        done = world.collect(world.villain, DAY)
    assert not gone.exists()
    assert done.state is State.SERVED
    in_order_again(world)


def test_what_was_committed_in_a_race_is_what_was_looked_at(world: World) -> None:
    """After the commit the files are root's: nothing that the client still does reaches them."""
    it = world.villain
    with Villain(it.user, opening, it) as villain:
        villain.let_loose()
        for _ in range(5):
            if (done := world.collect(it, DAY)).committed or done.refused:
                break
        after = world.picture()
        time.sleep(0.2)
        untouched(after, world.picture(), {})
    world.goes_on(LATER)
