"""A collect that is killed at any of its steps, and run again, ends as one that was not killed.

A child process runs ``collect`` and kills itself (SIGKILL: no ``finally``, no clean-up) just before its N-th call that
changes the file system, or in the middle of it where it writes, for every N; then a collect runs undisturbed. The tree,
what is served and what is left in ``state/`` must be the same as without the kill.
"""

from __future__ import annotations

import builtins
import collections
import fcntl
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cya import renaming
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.config.root import RootConfig
from tests.archive.archive_of_2012 import Root2012
from tests.archive.conftest import Site, at
from tests.mounts import memory

# ---------------------------------------------------------------------------------------------------------------------
# Killing

CHANGING = (
    *("rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "mkfifo", "mknod"),
    *("fsync", "fdatasync", "sync"),
    *("chmod", "fchmod", "lchmod", "chown", "fchown", "lchown", "utime", "setxattr", "removexattr"),
    *("write", "pwrite", "writev", "truncate", "ftruncate", "posix_fallocate", "sendfile", "copy_file_range", "splice"),
)
"""Functions of ``os``. Besides them, ``os.open`` where it makes a file, files that are open for writing, and ioctl."""


class _Changes:
    """Counts the changes of this process, and kills it before one of them."""

    def __init__(self, last: int | str | None) -> None:
        self.made: list[str] = []
        self.last = last

    def is_due(self, what: str) -> bool:
        self.made.append(what)
        return self.last in what if isinstance(self.last, str) else self.last == len(self.made)

    @staticmethod
    def kill() -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL was survived")

    def watch(self) -> None:
        """Count from now on. There is no way back: this is for a child process."""
        for name in CHANGING:
            if hasattr(os, name):
                setattr(os, name, self._counted(name, getattr(os, name)))
        self._watch_opening(os.open)
        vars(renaming)["exchange"] = self._counted("exchange", renaming.exchange)
        vars(fcntl)["ioctl"] = self._counted("ioctl", fcntl.ioctl)
        vars(builtins)["open"] = vars(io)["open"] = partial(self._opened, builtins.open)

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_due(" ".join([name, *(str(arg) for arg in args if isinstance(arg, (str, Path)))])):
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                self.kill()
            return real(*args, **kwargs)

        return call

    def _watch_opening(self, real: Callable[..., int]) -> None:
        def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            if flags & (os.O_CREAT | os.O_TRUNC) and self.is_due(f"open {path}"):
                self.kill()
            return real(path, flags, *args, **kwargs)

        vars(os)["open"] = call

    def _opened(self, real: Callable[..., Any], file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not set(mode) & set("wax+"):
            return real(file, mode, *args, **kwargs)
        changes = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                if changes.is_due("write"):
                    super().write(bytes(data)[: len(data) // 2])
                    changes.kill()
                return super().write(data)

        if not isinstance(file, int) and self.is_due(f"open {file}"):
            self.kill()
        raw = Raw(file, mode.replace("b", "").replace("t", ""), closefd=kwargs.get("closefd", True))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, kwargs.get("encoding"), newline="")


def _in_child(work: Callable[[], object], last: int | str | None) -> tuple[int, list[str]]:
    """Run ``work`` in a child that dies at its ``last``-th change; return how it ended and, if it did, its changes."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 3
        try:
            report = os.write
            changes = _Changes(last)
            changes.watch()
            work()
            report(writing, json.dumps(changes.made)[: 1 << 16].encode())
            code = 0
        except BaseException:
            changes.last = None
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(told or "[]")


def killed_at(step: int | str, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that kills itself before one of its changes; return whether it came to that.

    :param step: the change's number, from 1, or a part of what :func:`changes_of` tells of it.
    """
    status, _ = _in_child(work, step)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"step {step}: the run failed instead of being killed"
    return os.WIFSIGNALED(status)


def changes_of(work: Callable[[], object]) -> list[str]:
    """Run ``work`` in a child to its end; return its changes: the function's name, and the names it was given."""
    status, made = _in_child(work, None)
    assert status == 0, "the run failed"
    return made


# ---------------------------------------------------------------------------------------------------------------------
# Situations


@dataclass(frozen=True)
class Situation:
    """What a collect finds, and what there is to be after it.

    :ivar build: makes the root.
    :ivar now: when it is collected.
    :ivar committed, quarantined: how many backups and refused batches there are in the end.
    """

    build: Callable[[Path], None]
    now: str
    committed: int
    quarantined: int = 0


def history(
    *days: str,
    upload: str | None = None,
    full: bool = False,
    then: Callable[[Site], object] = lambda site: None,
    settings: RootConfig = RootConfig(),
) -> Callable[[Path], None]:
    """A root with some days behind it, ``upload`` waiting in ``next``, and ``then`` something done to it."""

    def build(root: Path) -> None:
        init_archive(root, settings)
        site = Site(root)
        for day in days:
            site.day(day, volumes=2)
        if upload is not None:
            site.collect(upload)
            site.upload(upload, full=full, volumes=3)
        then(site)

    return build


def history_of_2012(*days: str, upload: str | None = None) -> Callable[[Path], None]:
    """A root as the cya of 2012 left it."""

    def build(root: Path) -> None:
        old = Root2012(root)
        old.collect(days[0])
        for day in days:
            old.day(day, volumes=2)
        if upload is not None:
            old.upload(upload, volumes=3)

    return build


def _spoil(site: Site) -> None:
    next(site.next.glob("*20121211*vol1.*")).write_text("not what was announced")


def _stop_before_the_commit_point(site: Site) -> None:
    """One volume is linked, the second is not."""
    assert killed_at("vol2.", lambda: collect(site.root, at("2012-12-11")))
    assert len(list(site.root.glob("backups/**/*20121211*"))) == 1


def _delete_its_week(site: Site) -> None:
    _stop_before_the_commit_point(site)
    shutil.rmtree(site.root / "backups/2000/2010/2012/2012-12/2012-12-09")


def _defer(site: Site) -> None:
    """A process has a file open when the upload is taken, and closes it later."""
    with next(site.next.glob("*20121211*vol1.*")).open("ab"):
        assert site.collect("2012-12-11").deferred


WEEKS = ("2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10")
IN_2012 = (*WEEKS, "2013-01-06", "2013-01-07")

SITUATIONS = {
    "first full": Situation(history(upload="2012-12-11"), "2012-12-11", committed=1),
    "increment": Situation(history(*WEEKS, upload="2012-12-11"), "2012-12-11", committed=5),
    "new week": Situation(history("2012-12-04", "2012-12-05", upload="2012-12-09"), "2012-12-11", committed=3),
    "new year and decade": Situation(
        history("2019-12-29", "2019-12-31", upload="2020-01-05"), "2020-01-05", committed=3
    ),
    "another full": Situation(history(*WEEKS, upload="2012-12-11", full=True), "2012-12-11", committed=5),
    "nothing served yet": Situation(history(), "2012-12-11", committed=0),
    "served for a week that is over": Situation(history("2012-12-04", "2012-12-05"), "2012-12-09", committed=2),
    "refused batch": Situation(history(*WEEKS, upload="2012-12-11", then=_spoil), "2012-12-11", 4, quarantined=1),
    "stopped in the middle": Situation(
        history(*WEEKS, upload="2012-12-11", then=_stop_before_the_commit_point), "2012-12-11", committed=5
    ),
    "its chain deleted in the middle": Situation(
        history(*WEEKS, upload="2012-12-11", then=_delete_its_week), "2012-12-11", committed=3, quarantined=1
    ),
    "copied in": Situation(
        history("2012-12-04", upload="2012-12-05", settings=RootConfig(commit="copy")), "2012-12-05", committed=2
    ),
    "waited for a writer": Situation(history(*WEEKS, upload="2012-12-11", then=_defer), "2012-12-11", committed=5),
    "archive of 2012": Situation(history_of_2012(*IN_2012, upload="2013-01-08"), "2013-01-08", committed=7),
    "archive of 2012, nothing uploaded": Situation(history_of_2012(*WEEKS), "2012-12-11", committed=4),
}


class Stage:
    """A situation, as often as it is wanted, and how it ends undisturbed."""

    def __init__(self, name: str, place: Path) -> None:
        self.situation = SITUATIONS[name]
        self.template, self.root = place / "template", place / "web1"
        self.template.parent.mkdir(exist_ok=True)
        self.situation.build(self.root)
        self.root.rename(self.template)
        self.set_up()
        self.steps = len(changes_of(self.collect))
        self.undisturbed: list[str] = []
        self.check()
        self.undisturbed = Site(self.root).listing()

    def set_up(self) -> None:
        """Begin anew."""
        if self.root.exists():
            shutil.rmtree(self.root)
        copy_root(self.template, self.root)

    def collect(self) -> None:
        collect(self.root, at(self.situation.now))

    def check(self) -> None:
        """Check that all is as it has to be."""
        after = Site(self.root)
        assert self.undisturbed in ([], after.listing())
        assert len(after.catalog.backups) == self.situation.committed
        assert all(backup.chain is not None for backup in after.catalog.backups)
        assert not any(directory.chains.orphans for directory in after.catalog.directories)
        reasons = [kept.read_text() for kept in after.state.glob("quarantine/*/REASON")]
        assert len(reasons) == self.situation.quarantined
        assert all(reasons)
        assert after.next.is_dir()

    def check_killed(self) -> None:
        """Check what others see of a root in which a collect was killed: whole backups, and all of before."""
        listed = Site(self.root).catalog.backups
        assert all(backup.chain is not None for backup in listed)
        assert len(listed) in (self.situation.committed, self.situation.committed - 1)


def copy_root(source: Path, destination: Path) -> None:
    """Copy a root so that it is as good as the original: hard links, owners, and what is known of inodes."""
    subprocess.run(["cp", "-a", source, destination], check=True)
    record = destination / "state" / "served.json"
    if record.exists():
        data = json.loads(record.read_text())
        for file in data["files"]:
            (file["ino"],) = {path.lstat().st_ino for path in destination.rglob(file["name"])}
        record.write_text(json.dumps(data))


@pytest.fixture
def place() -> Iterator[Path]:
    with memory() as directory:
        yield directory


# ---------------------------------------------------------------------------------------------------------------------
# Tests


@pytest.mark.parametrize("name", SITUATIONS)
def test_killed_at_every_step_and_run_again_it_ends_the_same(name: str, place: Path) -> None:
    stage = Stage(name, place)
    assert stage.steps > 5
    for step in range(1, stage.steps + 1):
        stage.set_up()
        try:
            assert killed_at(step, stage.collect)
            stage.check_killed()
            stage.collect()
            stage.check()
        except Exception as error:
            raise AssertionError(f"{name}: killed at step {step} of {stage.steps}") from error


def test_killed_twice_and_run_again_it_ends_the_same(place: Path) -> None:
    """The second run is killed on the way that the first one has left."""
    draw = random.Random(2012)
    stages = {name: Stage(name, place / name) for name in SITUATIONS}
    pairs = both = 160
    for _ in range(pairs):
        name = draw.choice(list(stages))
        stage = stages[name]
        first = draw.randint(1, stage.steps)
        second = draw.randint(1, stage.steps - first + 5)
        stage.set_up()
        try:
            assert killed_at(first, stage.collect)
            both -= not killed_at(second, stage.collect)  # the first may have left too little to do
            stage.collect()
            stage.check()
        except Exception as error:
            raise AssertionError(f"{name}: killed at step {first}, then at step {second}") from error
    assert both > pairs * 3 / 4


_CALLS = {
    "rename": "rename renameat renameat2",
    "link": "link linkat",
    "unlink": "unlink unlinkat rmdir",  # unlinkat removes directories, too
    "mkdir": "mkdir mkdirat",
    "symlink": "symlink symlinkat",
    "mknod": "mknod mknodat",
    "fsync": "fsync",
    "fdatasync": "fdatasync",
    "sync": "sync syncfs",
    "chmod": "chmod fchmodat",
    "fchmod": "fchmod",
    "chown": "chown lchown fchownat",
    "fchown": "fchown",
    "utime": "utimensat",
    "setxattr": "setxattr lsetxattr fsetxattr",
    "removexattr": "removexattr lremovexattr fremovexattr",
    "open": "open openat openat2 creat",
    "ioctl": "ioctl",
    "write": "write pwrite64 writev pwritev pwritev2",
    "truncate": "truncate",
    "ftruncate": "ftruncate",
    "posix_fallocate": "fallocate",
    "sendfile": "sendfile",
    "copy_file_range": "copy_file_range",
    "splice": "splice",
}
SYSTEM_CALLS = {call: function for function, calls in _CALLS.items() for call in calls.split()}
"""Linux's system calls that change a file system, each with Python's function that makes it."""
NO_CHANGE = re.compile(r"open\w*\((?!.*O_(CREAT|TRUNC))|write\w*\([012],|ioctl\(\d+, (T|FIO)")
"""Of those, calls that change nothing: to open for reading, to write to the terminal, to ask about it."""


def trace(stage: Stage, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a collect in a Python of its own under strace."""
    calls = ",".join(f"?{name}" for name in SYSTEM_CALLS)
    work = (
        "import sys, datetime, pathlib; from cya.archive.collect import collect\n"
        "collect(pathlib.Path(sys.argv[1]), datetime.datetime.fromisoformat(sys.argv[2]))"
    )
    tracer = ["strace", "-f", "-e", "signal=none", "-e", f"trace={calls}", *more]
    return subprocess.run(
        [*tracer, sys.executable, "-B", "-c", work, stage.root, str(at(stage.situation.now))],
        capture_output=True,
        text=True,
        check=False,
    )


def system_calls(stage: Stage, log: Path) -> list[tuple[str, int]]:
    """Return the system calls of a collect that change something: name, and its number among those of this name."""
    stage.set_up()
    if shutil.which("strace") is None or trace(stage, "-o", str(log)).returncode != 0:
        pytest.skip("strace is missing, or may not trace here")
    stage.check()
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    found = []
    for line in log.read_text().splitlines():
        thread, _, call = line.partition(" ")
        name, bracket, _ = call.strip().partition("(")
        if bracket and name in SYSTEM_CALLS:
            counts[thread, name] += 1
            if not NO_CHANGE.match(call.strip()):
                found.append((name, counts[thread, name]))
    return found


def test_killed_by_the_kernel_at_a_system_call_and_run_again_it_ends_the_same(place: Path) -> None:
    """From outside: stopped where it enters the kernel, which knows nothing of Python. A sample, since it is slow."""
    stage = Stage("new week", place)
    calls = system_calls(stage, place / "log")
    killed = 0
    for name, number in random.Random(2012).sample(calls, 15):
        stage.set_up()
        try:
            kill = f"inject={name}:signal=KILL:when={number}"
            killed += trace(stage, "-o", "/dev/null", "-e", kill).returncode == -signal.SIGKILL
            stage.check_killed()
            stage.collect()
            stage.check()
        except Exception as error:
            raise AssertionError(f"killed at {name} number {number}") from error
    assert killed >= 13


@pytest.mark.parametrize("name", ["new week", "refused batch", "copied in", "archive of 2012"])
def test_no_system_call_that_changes_something_is_overlooked(name: str, place: Path) -> None:
    """What the kernel sees, and what is counted here, is the same: else there would be steps that are never killed."""
    stage = Stage(name, place)
    seen = collections.Counter(SYSTEM_CALLS[call] for call, _ in system_calls(stage, place / "log"))
    stage.set_up()
    made = (change.split(" ")[0] for change in changes_of(stage.collect))
    assert seen == collections.Counter("unlink" if name in ("rmdir", "remove") else name for name in made)
