"""Files and directories that a process of the client keeps open, or locked, while they are committed."""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cya.archive.state import State
from tests.hostile.villain import Villain
from tests.hostile.world import COMMITTED, COPIED, DAY, SERVED_ANEW, Outcome, Scene, World, needs_root, refused

pytestmark = needs_root

GARBAGE = b"garbage"


def spoil(fd: int) -> None:
    """Write into a file and cut it, by the handle and by all ways to open it again."""
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
        with suppress(OSError):
            os.write(os.open(f"/proc/self/fd/{fd}", flags), GARBAGE)
    with suppress(OSError):
        os.pwrite(fd, GARBAGE, 0)
        os.ftruncate(fd, 1)
    with suppress(OSError):
        os.fchmod(fd, 0o666)
    with suppress(OSError):
        os.utime(fd)
    with suppress(OSError):
        os.setxattr(fd, "user.x", b"x")


def open_for(flags: int) -> Callable[[Scene], Iterator[None]]:
    def attack(it: Scene) -> Iterator[None]:
        names = it.upload(DAY)
        fd = os.open(it.volume(names), flags)
        yield
        spoil(fd)

    return attack


def mapped(it: Scene) -> Iterator[None]:
    names = it.upload(DAY)
    fd = os.open(it.volume(names), os.O_RDWR)
    memory = mmap.mmap(fd, os.fstat(fd).st_size, mmap.MAP_SHARED)
    os.close(fd)
    yield
    memory[: len(GARBAGE)] = GARBAGE
    memory.flush()


def given_to_a_child(it: Scene) -> Iterator[None]:
    names = it.upload(DAY)
    fd = os.open(it.volume(names), os.O_RDWR)
    go, tell = os.pipe()
    done, say = os.pipe()
    if os.fork() == 0:
        os.read(go, 1)
        spoil(fd)
        os.write(say, b"x")
        os._exit(0)
    os.close(fd)
    yield
    os.write(tell, b"x")
    os.read(done, 1)


def all_held(it: Scene) -> Iterator[None]:
    """Every file, so that what was frozen by the first runs is copied, too."""
    fds = [os.open(it.next / name, os.O_RDWR) for name in it.upload(DAY, volumes=3)]
    yield
    for fd in fds:
        spoil(fd)


def last_held(it: Scene) -> Iterator[None]:
    """Only the last one in their order: the others are the archive's own by then."""
    fd = os.open(it.next / sorted(it.upload(DAY, volumes=3))[-1], os.O_RDWR)
    yield
    spoil(fd)


def stopped_writer(it: Scene) -> Iterator[None]:
    """A process, as sftp-server, that was stopped in the middle of a write."""
    names = it.upload(DAY)
    pid = os.fork()
    if pid == 0:
        fd = os.open(it.volume(names), os.O_RDWR)
        os.kill(os.getpid(), signal.SIGSTOP)
        spoil(fd)
        os._exit(0)
    os.waitpid(pid, os.WUNTRACED)
    yield
    os.kill(pid, signal.SIGCONT)
    os.waitpid(pid, 0)


def leased(kind: int, *, what: str = "volume") -> Callable[[Scene], Iterator[None]]:
    """A lease lets whoever opens the file wait; it is taken again whenever the kernel takes it away."""

    def attack(it: Scene) -> Iterator[None]:
        names = it.upload(DAY)
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        place = it.volume(names) if what == "volume" else it.next / what
        fd = os.open(place, os.O_RDONLY if kind == fcntl.F_RDLCK else os.O_RDWR)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)
        yield

    return attack


def locked(it: Scene) -> Iterator[None]:
    """Locks that only those heed who ask, on all that it can open, served files and directories too."""
    it.upload(DAY)
    fds = [os.open(path, os.O_RDONLY) for path in [*it.next.iterdir(), it.next, it.incoming, it.root]]
    for fd in fds:
        fcntl.flock(fd, fcntl.LOCK_EX)
    yield


def lease_on_served(it: Scene) -> None:
    for path in it.served:
        fd = os.open(path, os.O_RDONLY)
        for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK):
            with pytest.raises(PermissionError):
                fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)
    it.upload(DAY)


def in_the_directory(it: Scene) -> Iterator[None]:
    """It stands in ``next``, and has it open, while it is taken."""
    names = it.upload(DAY)
    os.chdir(it.next)
    fd = os.open(".", os.O_RDONLY)
    path = os.open(".", os.O_PATH)
    away = os.open(it.own, os.O_RDONLY)
    yield
    for at in (fd, path):
        for name in [*names, "FINISHED"]:
            with pytest.raises(OSError):  # noqa: PT011
                os.open(name, os.O_RDWR, dir_fd=at)
            with pytest.raises(OSError):  # noqa: PT011
                os.rename(name, "stolen", src_dir_fd=at, dst_dir_fd=away)
            with pytest.raises(OSError):  # noqa: PT011
                os.link(name, "stolen", src_dir_fd=at, dst_dir_fd=away)
        for name in ("new", "../new", "../plan.json", "../../backups/new"):
            with pytest.raises(OSError):  # noqa: PT011
                os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=at)
            with pytest.raises(OSError):  # noqa: PT011
                os.mkdir(name, dir_fd=at)


def refused_and_in_the_directory(it: Scene) -> Iterator[None]:
    """The directory lies in quarantine then, with a directory of the client's in it."""
    it.upload(DAY)
    os.mkdir(it.next / "sub")
    os.chdir(it.next / "sub")
    up = os.open("..", os.O_RDONLY)
    yield
    for name in ("new", "../REASON", "FINISHED"):
        with pytest.raises(OSError):  # noqa: PT011
            os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=up)
    for name in ("../new", "../../REASON", "../../../../served.json"):
        with pytest.raises(OSError):  # noqa: PT011
            os.open(name, os.O_WRONLY | os.O_CREAT)


ATTACKS: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "open for writing": (open_for(os.O_RDWR), COPIED),
    "open for appending": (open_for(os.O_WRONLY | os.O_APPEND), COPIED),
    "open for reading": (open_for(os.O_RDONLY), COMMITTED),
    "open as a path": (open_for(os.O_PATH), COMMITTED),
    "mapped, and closed": (mapped, COPIED),
    "given to a child": (given_to_a_child, COPIED),
    "all files": (all_held, COPIED),
    "the last file": (last_held, COPIED),
    "a writer that is stopped": (stopped_writer, COPIED),
    "a read lease": (leased(fcntl.F_RDLCK), COMMITTED),
    "a lease on the marker": (leased(fcntl.F_WRLCK, what="FINISHED"), refused("FINISHED cannot be read")),
    "a lease on a served file, which it does not get": (lease_on_served, COMMITTED),
    "locks": (locked, COMMITTED),
    "the directory": (in_the_directory, COMMITTED),
    "the directory of a refused upload": (refused_and_in_the_directory, refused("'sub' is not the name")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_committed_never_changes_whatever_is_held_open(world: World, attack: str) -> None:
    world.withstands(*ATTACKS[attack])


@pytest.mark.parametrize("attack", ["open for writing", "mapped, and closed", "open as a path"])
def test_where_all_is_copied_nothing_waits_for_what_is_held_open(make_world: Callable[..., World], attack: str) -> None:
    make_world(commit="copy").withstands(ATTACKS[attack][0], COMMITTED)


def test_a_write_lease_makes_a_collect_wait_for_some_runs_and_never_hang(world: World) -> None:
    before = world.picture()
    with Villain(world.villain.user, leased(fcntl.F_WRLCK), world.villain):
        for _ in range(3):
            done = world.collect(world.villain, DAY)
            assert (len(done.deferred), done.committed, done.refused) == (1, [], [])
        done = world.collect(world.villain, DAY)
        assert "kept locked by a process of the client" in done.refused[0]
        world.unharmed(before, world.picture())
        assert done.state is State.SERVED
    world.goes_on()


def test_what_waits_is_committed_in_place_when_the_writer_has_ended(world: World) -> None:
    with Villain(world.villain.user, open_for(os.O_RDWR), world.villain):
        assert world.collect(world.villain, DAY).deferred
        batch = {path.name: path.lstat().st_ino for path in (world.villain.state / "batch").iterdir()}
    done = world.collect(world.villain, DAY)
    assert len(done.committed) == 1
    tree = {p.name: p.lstat().st_ino for p in (world.villain.root / "backups").rglob("*20121206T*")}
    assert tree
    assert tree.items() <= batch.items()
    world.goes_on()


def written(it: Scene) -> None:
    """All that would change a served file; none of it is allowed."""
    for path in it.served:
        fd = os.open(path, os.O_RDONLY)
        for act in (
            lambda path=path: path.write_text("x"),
            lambda path=path: os.truncate(path, 0),
            lambda path=path: path.chmod(0o666),
            lambda path=path: os.chown(path, os.getuid(), -1),
            lambda path=path: os.utime(path),
            lambda path=path: os.utime(path, (1, 1)),
            lambda path=path: os.setxattr(path, "user.x", b"x"),
            lambda fd=fd: os.open(f"/proc/self/fd/{fd}", os.O_RDWR),
            lambda fd=fd: os.ftruncate(fd, 0),
            lambda fd=fd: os.fchmod(fd, 0o666),
            lambda fd=fd: mmap.mmap(fd, 1, mmap.MAP_SHARED, mmap.PROT_WRITE),
            lambda fd=fd: os.posix_fallocate(fd, 0, 1 << 20),
        ):
            with pytest.raises(OSError):  # noqa: PT011
                act()
        os.close(fd)
    it.upload(DAY)


def away_and_back(it: Scene) -> None:
    for path in it.served:
        path.rename(it.own / path.name)
        with pytest.raises(OSError):  # noqa: PT011
            (it.own / path.name).write_text("x")
        (it.own / path.name).rename(path)
    it.upload(DAY)


def swapped_names(it: Scene) -> None:
    one, two = it.served[:2]
    one.rename(it.next / "x")
    two.rename(one)
    (it.next / "x").rename(two)
    it.upload(DAY)


def as_a_new_file(it: Scene) -> None:
    """A committed file, under the name of a new one: it must not become a file of the client's in the tree."""
    names = it.upload(DAY)
    it.volume(names).unlink()
    it.served[0].rename(it.volume(names))
    it.finish(names)


def deleted(it: Scene) -> None:
    served = it.served
    it.upload(DAY)
    for path in served:
        path.unlink()


def served_as(make: Callable[[Path], object]) -> Callable[[Scene], object]:
    def attack(it: Scene) -> None:
        place = it.served[0]
        place.unlink()
        make(place)

    return attack


SERVED: dict[str, tuple[Callable[[Scene], object], Outcome]] = {
    "written": (written, COMMITTED),
    "away and back": (away_and_back, COMMITTED),
    "deleted": (deleted, COMMITTED),
    "swapped": (swapped_names, refused("something else has been put in its place")),
    "under the name of a new one": (as_a_new_file, refused("names; a new file has one")),
    "forged, unfinished": (served_as(lambda path: path.write_text("forged")), SERVED_ANEW),
    "a FIFO in its place, unfinished": (served_as(os.mkfifo), SERVED_ANEW),
    "a directory in its place, unfinished": (served_as(Path.mkdir), SERVED_ANEW),
    "a link in its place, unfinished": (served_as(lambda path: path.symlink_to("/etc/shadow")), SERVED_ANEW),
}


@pytest.mark.parametrize("attack", SERVED)
def test_served_files_cannot_be_changed(world: World, attack: str) -> None:
    world.withstands(*SERVED[attack])
