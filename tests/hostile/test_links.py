"""Symbolic and hard links, to what is root's and to what is another client's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cya.archive.state import State
from tests.hostile.villain import Villain
from tests.hostile.world import (
    COMMITTED,
    DAY,
    IGNORED,
    SERVED_ANEW,
    Outcome,
    Scene,
    World,
    needs_root,
    refused,
)

pytestmark = needs_root

CANNOT = refused("cannot be opened")


def replaced(kind: str, target: Callable[[Scene], object]) -> Callable[[Scene], object]:
    """One file of the upload is a symbolic link."""

    def attack(it: Scene) -> None:
        names = it.upload(DAY)
        place = it.next / next(name for name in names if kind in name)
        place.unlink()
        place.symlink_to(str(target(it)))

    return attack


def all_replaced(it: Scene) -> None:
    for name in it.upload(DAY):
        (it.next / name).unlink()
        (it.next / name).symlink_to(it.secret)


def hard_linked(it: Scene) -> None:
    """A new file with another name, by which the client could go on to reach it."""
    names = it.upload(DAY)
    os.link(it.volume(names), it.own / "mine")


def one_file_twice(it: Scene) -> None:
    names = it.write(DAY, volumes=2)
    one, two = (it.next / name for name in names if ".vol" in name)
    two.unlink()
    os.link(one, two)
    it.finish(names)


def committed_hard_linked(it: Scene) -> None:
    """The kernel does not let it where fs.protected_hardlinks is on; the archive does not rely on that."""
    names = it.upload(DAY)
    for source in (it.served[0], it.secret):
        it.volume(names).unlink(missing_ok=True)
        with suppress(OSError):
            os.link(source, it.volume(names))
            return
    it.volume(names).symlink_to(it.secret)


def marker(target: Callable[[Scene], object]) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        it.upload(DAY)
        (it.next / "FINISHED").unlink()
        (it.next / "FINISHED").symlink_to(str(target(it)))

    return attack


ATTACKS: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "a volume to a file of root's": (replaced("vol1", lambda it: it.secret), CANNOT),
    "a manifest to a file of root's": (replaced("manifest", lambda it: it.secret), CANNOT),
    "a sigtar to the shadow file": (replaced("sigtar", lambda it: "/etc/shadow"), CANNOT),
    "a volume to another client's settings": (replaced("vol1", lambda it: it.other / "cya.toml"), CANNOT),
    "a volume to another client's next": (replaced("vol1", lambda it: it.other / "incoming/next"), CANNOT),
    "a volume to a device": (replaced("vol1", lambda it: "/dev/zero"), CANNOT),
    "a volume to an upload's own file": (replaced("vol1", lambda it: it.served[0].name), CANNOT),
    "a volume to itself": (replaced("vol1", lambda it: next(p.name for p in it.next.iterdir())), CANNOT),
    "a volume to a descriptor of root's": (replaced("vol1", lambda it: "/proc/self/fd/0"), CANNOT),
    "all files": (all_replaced, CANNOT),
    "the marker to the shadow file": (marker(lambda it: "/etc/shadow"), refused("FINISHED cannot be read")),
    "the marker to nowhere": (marker(lambda it: "nowhere"), refused("FINISHED cannot be read")),
    "the marker to itself": (marker(lambda it: "FINISHED"), refused("FINISHED cannot be read")),
    "the marker to a terminal": (marker(lambda it: "/dev/tty"), refused("FINISHED cannot be read")),
    "a hard link elsewhere": (hard_linked, refused("has 2 names")),
    "one file under two names": (one_file_twice, refused("has 2 names")),
    "a hard link to what is committed": (committed_hard_linked, refused("")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_link_leads_root_anywhere(world: World, attack: str) -> None:
    world.withstands(*ATTACKS[attack])


def test_a_file_of_root_is_not_taken_for_one_that_is_frozen_already(world: World) -> None:
    """Where hard links to others' files are allowed, one whose other name was deleted has one name, and is root's."""
    it = world.villain
    with Villain(it.user, lambda it: it.upload(DAY), it):
        pass
    place = next(it.next.glob("*20121206T*.vol1.*"))
    place.unlink()
    place.write_text("a log of root's, rotated away\n")
    place.chmod(0o600)
    before = place.lstat()
    done = world.collect(it, DAY)
    assert "belongs to user 0" in done.refused[0]
    (kept,) = it.state.glob("quarantine/*/files/*.vol1.*")
    assert kept.lstat().st_mode == before.st_mode
    world.goes_on()


def finished_is(target: Callable[[Scene], Path | str]) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        (it.incoming / "finished").symlink_to(target(it))

    return attack


def next_is(target: Callable[[Scene], Path | str]) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        it.next.rename(it.own / "next")
        it.next.symlink_to(target(it))

    return attack


def both(it: Scene) -> Iterator[None]:
    it.write(DAY)
    it.next.rename(it.incoming / "finished")
    it.next.mkdir()
    (it.next / "FINISHED").touch()
    fd = os.open(it.next, os.O_RDONLY)
    yield
    with pytest.raises(PermissionError):  # it lies in quarantine
        os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=fd)


def another_directory(it: Scene) -> None:
    it.next.rename(it.own / "next")
    it.next.mkdir(mode=0o700)


def left_over(it: Scene) -> None:
    """What the 2012 archive built its next in lies about, as links."""
    (it.incoming / "next.tmp").symlink_to(it.other)
    (it.incoming / "next.new").symlink_to(it.secret)
    it.write(DAY)
    it.next.rename(it.incoming / "finished")


NO_DIRECTORY = refused("it is not a directory")
RENAMED: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "finished to another client's next": (finished_is(lambda it: it.other / "incoming/next"), NO_DIRECTORY),
    "finished to another client's backups": (finished_is(lambda it: it.other / "backups"), NO_DIRECTORY),
    "finished to its own state": (finished_is(lambda it: "../state"), NO_DIRECTORY),
    "finished to the file system": (finished_is(lambda it: "/"), NO_DIRECTORY),
    "finished to itself": (finished_is(lambda it: "finished"), NO_DIRECTORY),
    "finished as a FIFO": (lambda it: os.mkfifo(it.incoming / "finished"), NO_DIRECTORY),
    "finished as an empty directory": (lambda it: (it.incoming / "finished").mkdir(), refused("found none")),
    "both next and finished": (both, Outcome("a second one", "what was served is not known")),
    "next.tmp and next.new left over": (left_over, COMMITTED),
    "next to another client's next": (next_is(lambda it: it.other / "incoming/next"), SERVED_ANEW),
    "next to the file system": (next_is(lambda it: "/"), SERVED_ANEW),
    "next as a file": (
        lambda it: (it.next.rename(it.own / "next"), it.next.write_text("x")),
        SERVED_ANEW,
    ),
    "next gone": (lambda it: it.next.rename(it.own / "next"), SERVED_ANEW),
    "next as another directory of its own": (
        another_directory,
        IGNORED,
    ),
}


@pytest.mark.parametrize("attack", RENAMED)
def test_who_owns_incoming_leads_root_nowhere(make_world: Callable[..., World], attack: str) -> None:
    world = make_world(handover="rename")
    act, outcome = RENAMED[attack]
    before = world.picture()
    with Villain(world.villain.user, act, world.villain) as villain:
        done = world.collect(world.villain, DAY)
        new = {str(p) for p in (world.villain.root / "backups").rglob("*20121206T*")}
        world.unharmed(before, world.picture(), new)
        while not villain.ended:
            villain.go_on()
    assert done.state is State.SERVED
    assert len(done.committed) == (outcome.name in ("committed", "a second one")) == bool(new)
    assert len(done.refused) == (outcome.name in ("refused", "a second one"))
    assert outcome.reason in "".join(done.refused)
    assert (done.served is not None) == (outcome.name in ("committed", "served anew", "a second one"))
    world.goes_on()
