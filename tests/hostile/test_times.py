"""Increments with times that the archive's clock does not bear out, and uploads at odd times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from cya.archive.check.run import check
from cya.archive.state import State
from tests.archive.conftest import at
from tests.hostile.villain import Villain, as_user
from tests.hostile.world import COMMITTED, DAY, WEEK, Outcome, Scene, World, needs_root, refused
from tests.standin import increment_names

pytestmark = needs_root


def lasting(start: str | None, end: str) -> Callable[[Scene], object]:
    """An increment from one time to another; a full without the first."""

    def attack(it: Scene) -> None:
        first, last = (None if each is None else int(at(each).timestamp()) for each in (start, end))
        assert last is not None
        for name in (names := increment_names(first, last)):
            (it.next / name).unlink(missing_ok=True)
            (it.next / name).write_text("x")
        it.finish(names)

    return attack


START = "2012-12-05T03:00:00"
ATTACKS: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "a minute after the clock": (lasting(START, "2012-12-06T03:01:00"), COMMITTED),
    "16 minutes after the clock": (lasting(START, "2012-12-06T03:16:00"), refused("it ends 960 s in the future")),
    "in the year 9999": (lasting(START, "9999-12-31T23:59:59"), refused("in the future")),
    "a full in the year 9999": (lasting(None, "9999-12-31T23:59:59"), refused("in the future")),
    "a full in the year 1": (lasting(None, "0001-01-01T00:00:00"), refused("before 1970")),
    "a full before what is there": (lasting(None, "2012-12-05T02:00:00"), refused("does not end after the chain")),
    "a full with the names of the served one": (
        lasting(None, "2012-12-04T03:00:00"),
        refused("something else has been put in its place"),
    ),
    "a full": (lasting(None, "2012-12-06T03:00:00"), COMMITTED),
    "an increment that is there": (
        lasting("2012-12-04T03:00:00", START),
        refused("something else has been put in its place"),
    ),
    "a second one on the same start": (lasting("2012-12-04T03:00:00", DAY), refused("does not start where")),
    "one on a chain that nobody has": (lasting("2012-12-05T04:00:00", DAY), refused("does not start where")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_archives_clock_decides_whatever_the_names_say(world: World, attack: str) -> None:
    if attack == "a full":
        pass_as_full(world)
    else:
        world.withstands(*ATTACKS[attack])


def pass_as_full(world: World) -> None:
    """A full comes into every period above, so that more is new than an increment."""
    before = world.picture()
    as_user(world.villain.user, lambda: ATTACKS["a full"][0](world.villain))
    done = world.collect(world.villain, DAY)
    assert (len(done.committed), done.refused) == (1, [])
    assert "a full backup of" in done.alarms[0]
    after = world.picture()
    assert all(after[path].content == seen.content and after[path].ino == seen.ino for path, seen in before.items())
    world.goes_on()


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00", "1969-12-31T23:59:59"])
def test_a_first_full_of_long_ago_is_refused(world: World, end: str) -> None:
    """Such a time cannot even be shown in every time zone."""
    it = world.villain
    shutil.rmtree(it.root / "backups/2000")
    world.collect(it, DAY)
    as_user(it.user, lambda: lasting(None, end)(it))
    assert "before 1970" in world.collect(it, DAY).refused[0]
    world.honest(it, "2012-12-07T03:00:00")


@pytest.mark.parametrize("end", ["2012-12-04T03:00:00", "2012-12-05T03:00:00", "2012-12-05T02:00:00"])
def test_after_damage_nothing_is_put_in_the_place_of_what_is_left(world: World, end: str) -> None:
    """Nothing is served then, and the client may upload a full with any name."""
    it = world.villain
    for path in (it.root / "backups").rglob("*20121204T*.difftar.gpg"):
        path.unlink()
    check(it.root, at(DAY))
    assert world.collect(it, DAY).served is not None
    assert list(it.next.iterdir()) == []
    left = {path: path.lstat().st_ino for path in (it.root / "backups").rglob("*") if path.is_file()}
    as_user(it.user, lambda: lasting(None, end)(it))
    assert "does not end after the backups that are there" in world.collect(it, DAY).refused[0]
    assert {path: path.lstat().st_ino for path in (it.root / "backups").rglob("*") if path.is_file()} == left
    world.honest(it, "2012-12-07T03:00:00")


def test_an_old_next_with_something_in_it_is_given_up(world: World) -> None:
    late = "2099-03-03T03:00:00"  # the kernel tells when a next last changed, by the real clock
    it = world.villain
    as_user(it.user, lambda: it.write(DAY))
    assert world.collect(it, "2012-12-12T03:00:00").served is None
    done = world.collect(it, late)
    assert done.served is not None
    assert done.served.leaf[-1] == "2099-03-01"
    assert len(list(it.state.glob("quarantine/*/files/*20121206T*"))) == 3
    assert not list((it.root / WEEK).rglob("*20121206T*"))
    world.goes_on(late)


def test_an_upload_that_is_held_open_for_ever_is_given_up(world: World) -> None:
    it = world.villain

    def hold(it: Scene) -> Iterator[None]:
        os.chdir(it.next)
        here = os.open(".", os.O_RDONLY)
        fds = [os.open(name, os.O_RDWR) for name in it.write(DAY)]
        yield
        for fd in fds:
            os.write(fd, b"x")
        with pytest.raises(PermissionError):
            os.open("FINISHED", os.O_WRONLY | os.O_CREAT, dir_fd=here)

    late = "2099-03-03T03:00:00"  # the kernel tells when a next last changed, by the real clock
    with Villain(it.user, hold, it) as villain:
        before = world.picture()
        for day in (DAY, "2012-12-09T03:00:00"):
            assert world.collect(it, day).served is None
        done = world.collect(it, late)
        assert done.state is State.SERVED
        assert done.served is not None
        world.unharmed(before, world.picture())
        villain.go_on()
        world.unharmed(before, world.picture())
        world.goes_on(late)
