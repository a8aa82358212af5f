"""An archive host with two clients, of which one is hostile, and a picture of all that it must not change."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import signal
import stat
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType

import msgspec
import pytest

from cya.archive.check.run import check
from cya.archive.collect import Collected, collect
from cya.archive.init import init_archive
from cya.archive.state import State
from cya.config.root import RootConfig
from tests.archive.conftest import Site, at
from tests.hostile.villain import Attack, Villain, as_user

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: becomes the clients' Unix users")

DAY, LATER = "2012-12-06T03:00:00", "2012-12-07T03:00:00"
WEEK = "backups/2000/2010/2012/2012-12/2012-12-02"
DEADLINE = 20
"""Seconds that a collect may take, whatever a client does."""

_USUAL = {"lock", "log", "served.json", "ledger", "check.lock", "checked.json"}


class Scene(Site):
    """What a client sees of the archive host.

    :ivar own: a directory of its own, on the same file system.
    :ivar secret: a file of root's that only root may read.
    :ivar other: the root of another client.
    """

    def __init__(self, root: Path, user: pwd.struct_passwd, secret: Path, other: Path) -> None:
        super().__init__(root)
        self.user, self.secret, self.other = user, secret, other
        self.own = root.parent / f"home-{root.name}"
        self.incoming = root / "incoming"

    @property
    def handed_over_by_renaming(self) -> bool:
        return self.incoming.stat().st_uid != 0

    @property
    def served(self) -> list[Path]:
        """The served files, manifests first."""
        return sorted((p for p in self.next.iterdir()), key=lambda p: ("manifest" not in p.name, p.name))

    def volume(self, names: list[str]) -> Path:
        return self.next / next(name for name in names if ".vol1." in name)


@dataclass(frozen=True)
class Outcome:
    """What has to become of an attack."""

    name: str
    reason: str = ""


def refused(reason: str) -> Outcome:
    """It is put into quarantine, for this reason."""
    return Outcome("refused", reason)


COMMITTED = Outcome("committed")
"""It is no harm, or harm to its own increment only, and is committed."""
COPIED = Outcome("copied")
"""It waits for some runs, and then a copy is committed."""
IGNORED = Outcome("ignored")
"""There is nothing to commit, and nothing is done."""
SERVED_ANEW = Outcome("served anew")
"""There is nothing to commit; ``next`` is taken away, and another is served."""


@dataclass(frozen=True)
class Seen:
    """A file as it was seen. Only ``read`` (the time of access) may be told apart by who has looked at it."""

    ino: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    xattrs: tuple[tuple[str, bytes], ...]
    content: str
    nlink: int
    ctime: int
    read: int


_WHEN_LINKED = {"nlink", "ctime", "read"}
_WHEN_FILLED = {"nlink", "ctime", "read", "mtime", "size"}


def look(path: Path) -> Seen:
    found = path.lstat()
    content = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    if stat.S_ISLNK(found.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(found.st_mode):
        with open(os.open(path, os.O_RDONLY | os.O_NOATIME | os.O_NOFOLLOW), "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    if not stat.S_ISLNK(found.st_mode):
        xattrs = tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
    return Seen(
        found.st_ino,
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_size,
        found.st_mtime_ns,
        xattrs,
        content,
        found.st_nlink,
        found.st_ctime_ns,
        found.st_atime_ns if stat.S_ISREG(found.st_mode) else 0,
    )


def picture(*tops: Path, but: Collection[Path] = ()) -> dict[str, Seen]:
    """Look at everything below some directories, and at them."""
    seen = {}
    for top in tops:
        seen[str(top)] = look(top)
        if not top.is_dir():
            continue
        for place, inner, names in os.walk(top):
            inner[:] = [name for name in inner if Path(place, name) not in but]
            for name in (*inner, *names):
                if Path(place, name) not in but:
                    seen[os.path.join(place, name)] = look(Path(place, name))
    return seen


class World:
    """The host. ``villain`` and ``victim`` are two clients, each with two committed backups and a served ``next``."""

    def __init__(self, base: Path, config: RootConfig) -> None:
        self.base = base
        self.secret = base / "secret"
        self.secret.write_text("of root alone\n")
        self.secret.chmod(0o600)
        os.utime(self.secret, (1, 2))  # so that the first read of it changes the time of access
        one, two = two_users()
        self.villain = Scene(base / "villain", one, self.secret, base / "victim")
        self.victim = Scene(base / "victim", two, self.secret, base / "villain")
        for scene, settings in ((self.villain, config), (self.victim, RootConfig())):
            init_archive(scene.root, msgspec.structs.replace(settings, user=scene.user.pw_name))
            scene.own.mkdir()
            os.chown(scene.own, scene.user.pw_uid, scene.user.pw_gid)
            if settings.handover == "rename":  # as the 2012 cya has it
                os.chown(scene.incoming, scene.user.pw_uid, scene.user.pw_gid)
            for day in ("2012-12-04T03:00:00", "2012-12-05T03:00:00"):
                self.honest(scene, day)
            self.collect(scene, DAY)

    def collect(self, scene: Scene, now: str) -> Collected:
        """Collect as root, in time, and without any error."""
        with in_time():
            return collect(scene.root, at(now))

    def honest(self, scene: Scene, day: str) -> None:
        """Make a backup as an honest client does: clear what is not of the archive, upload, hand over."""
        self.collect(scene, day)
        served = {file["name"] for file in json.loads((scene.state / "served.json").read_text())["files"]}

        def upload() -> None:
            odd = [path for path in scene.next.iterdir() if path.name not in served]
            for start in range(0, len(odd), 1000):
                subprocess.run(["rm", "-rf", "--", *odd[start : start + 1000]], check=True)
            names = scene.write(day)
            if scene.handed_over_by_renaming:
                scene.next.rename(scene.incoming / "finished")
            else:
                scene.finish(names)

        as_user(scene.user, upload)
        done = self.collect(scene, day)
        assert (done.refused, done.deferred, len(done.committed)) == ([], [], 1)
        assert done.state is State.SERVED

    def withstands(self, attack: Attack[Scene], outcome: Outcome) -> None:
        """Let the villain do it, collect, and look whether everything is as it has to be."""
        before = self.picture()
        with Villain(self.villain.user, attack, self.villain) as villain:
            done = self.collect(self.villain, DAY)
            if outcome is COPIED:
                for _ in range(2):
                    assert (len(done.deferred), done.committed, done.refused) == (1, [], [])
                    self.unharmed(before, self.picture())
                    done = self.collect(self.villain, DAY)
                assert len(done.deferred) == 1
                done = self.collect(self.villain, DAY)
            new = self.is_as_expected(done, outcome)
            after = self.picture()
            self.unharmed(before, after, new)
            while not villain.ended:
                villain.go_on()
                untouched(after, self.picture(), {str(self.villain.next): _WHEN_FILLED})
        self.goes_on()

    def is_as_expected(self, done: Collected, outcome: Outcome) -> set[str]:
        """Compare what collect says with what was expected; return the paths that it has added to the tree."""
        found = (len(done.committed), len(done.refused), done.deferred)
        expected: tuple[int, int, list[str]] = (int(outcome in (COMMITTED, COPIED)), int(outcome.name == "refused"), [])
        assert found == expected, done
        if outcome.reason:
            assert outcome.reason in done.refused[0], done.refused
        assert (done.served is None) == (outcome is IGNORED), done
        assert done.state is State.SERVED
        files = self.villain.root / WEEK / "files"
        return {str(path) for path in files.iterdir() if "20121206T" in path.name} if done.committed else set()

    def picture(self) -> dict[str, Seen]:
        """Everything but what is the villain's own, and what collect writes down for itself."""
        it = self.villain
        names = ("finished", "next.tmp", "next.new", ".intake")
        own = [it.next, it.state, it.own, *(it.incoming / name for name in names)]
        return picture(self.base, Path("/etc/passwd"), Path("/etc/shadow"), but=own)

    def unharmed(self, before: dict[str, Seen], after: dict[str, Seen], new: Collection[str] = ()) -> None:
        """Compare two pictures: the villain's increment may be new, what it stands on may have got or lost a link."""
        root = self.villain.root
        files = root / WEEK / "files"
        allowed = {str(path): _WHEN_LINKED for path in (root / "backups").rglob("*") if path.is_file()}
        allowed |= {str(root / "incoming"): _WHEN_FILLED, str(self.base): {"nlink"}}
        if new:
            allowed[str(files)] = _WHEN_FILLED
        untouched(before, {path: seen for path, seen in after.items() if path not in new}, allowed)
        for path in new:
            seen = after[path]
            assert (stat.S_IMODE(seen.mode), seen.uid, seen.gid) == (0o440, 0, self.villain.user.pw_gid), path
            assert seen.xattrs == ()
            assert stat.S_ISREG(seen.mode)

    def goes_on(self, day: str = LATER) -> None:
        """The next backups of both clients are committed, no damage is found, and nothing lies about."""
        home = self.villain.own  # served files that lie there are rightly told as further names of theirs
        as_user(self.villain.user, lambda: subprocess.run(["find", home, "-mindepth", "1", "-delete"], check=True))
        self.honest(self.villain, day)
        self.honest(self.victim, day)
        for scene in (self.villain, self.victim):
            with in_time():
                result = check(scene.root, at(day))
            assert result.findings == ()
            assert set(os.listdir(scene.state)) - {"quarantine"} == _USUAL
            assert set(os.listdir(scene.incoming)) <= {"next"} | (
                {"next.tmp", "next.new", ".intake"} if scene.handed_over_by_renaming else set()
            )
            found = scene.next.lstat()
            assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, scene.user.pw_uid)
        assert not (self.victim.state / "quarantine").exists()


def untouched(before: dict[str, Seen], after: dict[str, Seen], allowed: dict[str, set[str]]) -> None:
    """Check that two pictures are the same, but for the fields that are allowed to be others."""
    changes = [f"{path} is gone" for path in before.keys() - after.keys()]
    changes += [f"{path} is new" for path in after.keys() - before.keys()]
    for path in before.keys() & after.keys():
        if before[path] == after[path]:
            continue
        changes += [
            f"{path}: {field.name} was {getattr(before[path], field.name)!r}, is {getattr(after[path], field.name)!r}"
            for field in fields(Seen)
            if field.name not in allowed.get(path, ())
            and getattr(before[path], field.name) != getattr(after[path], field.name)
        ]
    assert not changes, "\n".join(sorted(changes))


@contextmanager
def in_time(seconds: float = DEADLINE) -> Iterator[None]:
    """Fail when the block takes too long, also where it hangs in the system."""

    def ring(_: int, __: FrameType | None) -> None:
        pytest.fail(f"it has not ended after {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def two_users() -> tuple[pwd.struct_passwd, pwd.struct_passwd]:
    """Two of the users that every Debian has and nobody uses."""
    found = []
    for name in ("games", "news", "uucp", "lp", "mail"):
        try:
            found.append(pwd.getpwnam(name))
        except KeyError:
            continue
    if len(found) < 2:
        pytest.skip("needs two system users, as games and news")
    return found[0], found[1]


@contextmanager
def open_to_all(*, in_memory: bool = False) -> Iterator[Path]:
    """A temporary directory that clients may pass through; pytest's own are root's alone."""
    memory = "/dev/shm" if in_memory and os.access("/dev/shm", os.W_OK) else None
    base = Path(tempfile.mkdtemp(prefix="cya-hostile-", dir=memory))
    base.chmod(0o755)
    try:
        yield base
    finally:
        subprocess.run(["rm", "-rf", base], check=True)  # Python's own rmtree gives up at some depth


@contextmanager
def mounted_tmpfs(place: Path) -> Iterator[Path]:
    """A file system in memory; skip visibly where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "mode=755,size=256m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no mounts here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
