"""The same over SFTP, against the archive's own sshd: what a client's key alone can do."""

from __future__ import annotations

import json
import os
import pwd
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cya.archive import sshd
from cya.archive.check.run import check
from cya.archive.clients import add_client
from cya.archive.collect import Collected, collect
from cya.archive.state import State
from cya.config.archive import load
from tests.archive.conftest import Site, at
from tests.archive.own_machine import Client, free_port, own_machine, running_sshd
from tests.hostile.raw_sftp import APPEND, CREATE, READ, WRITE, Refused, Session, text
from tests.hostile.world import in_time, picture, untouched

NEXT = "/incoming/next"
VILLAIN, VICTIM = "cyatest-villain", "cyatest-victim"


class Host:
    """An archive host with two clients, each with a committed full."""

    def __init__(self, scratch: Path) -> None:
        file = Path("/etc/cya/archive.toml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'roots = ["/srv/cya/*"]\nsshd_port = {free_port()}\n')
        self.config = load(file)
        self.scratch = scratch
        self.days = iter(f"2026-{month:02}-{day:02}T03:00:00" for month in range(3, 13) for day in range(1, 29))
        self.day = next(self.days)
        self.clients = {name: Client(scratch / name, name, self.config.sshd_port) for name in (VILLAIN, VICTIM)}
        for name, client in self.clients.items():
            add_client(name, client.public_key, self.config, at(self.day))
            client.known_hosts.write_text(sshd.known_hosts_line(self.config, "localhost") + "\n")
        self.root = self.root_of(VILLAIN)
        self.next = self.root / "incoming/next"
        self.secret = self.root / "secret"
        self.secret.write_text("of root alone\n")
        self.secret.chmod(0o600)
        os.utime(self.secret, (1, 2))

    def root_of(self, name: str) -> Path:
        return Path("/srv/cya") / name

    def session(self, name: str = VILLAIN) -> Session:
        return Session(self.clients[name])

    def made(self, name: str) -> dict[str, bytes]:
        """Make an increment on top of what is served, and its marker; return contents by name."""
        served = self.root_of(name) / "incoming/next"
        area = self.scratch / f"made-{len(list(self.scratch.iterdir()))}"
        (area / "incoming/next").mkdir(parents=True)
        for each in os.listdir(served):
            (area / "incoming/next" / each).touch()
        names = Site(area).upload(self.day)
        return {each: (area / "incoming/next" / each).read_bytes() for each in [*names, "FINISHED"]}

    def honest(self, name: str) -> None:
        """Clear what is not the archive's, and upload."""
        collect(self.root_of(name), at(self.day))
        served = {file["name"] for file in json.loads((self.root_of(name) / "state/served.json").read_text())["files"]}
        with self.session(name) as it:
            for found in os.listdir(os.fsencode(self.root_of(name) / "incoming/next")):
                if os.fsdecode(found) not in served:
                    it.remove(f"{NEXT}/".encode() + found)
            for each, data in self.made(name).items():
                it.put(f"{NEXT}/.{each}.part", data)
                it.rename(f"{NEXT}/.{each}.part", f"{NEXT}/{each}")
        done = self.collect(name)
        assert (len(done.committed), done.refused, done.deferred) == (1, [], [])

    def collect(self, name: str = VILLAIN) -> Collected:
        with in_time():
            return collect(self.root_of(name), at(self.day))

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Nothing but ``next`` and ``state`` of the villain is another after the block; the next backups succeed."""
        self.day = next(self.days)
        self.collect()
        but = [self.next, self.root / "state"]
        tops = (Path("/srv/cya"), Path("/etc/shadow"), Path("/etc/passwd"), Path("/etc/cya"))
        before = picture(*tops, but=but)
        yield
        after = picture(*tops, but=but)
        linked = {str(path): {"nlink", "ctime", "read"} for path in (self.root / "backups").rglob("*.gpg")}
        new = {path for path in after.keys() - before.keys() if f"{self.day[:10]}T".replace("-", "") in path}
        parents = {parent for path in new for parent in map(str, Path(path).parents) if str(self.root) in parent}
        added = {path for path in parents if path not in before}
        changed = {path: {"mtime", "ctime", "nlink", "size"} for path in {*parents, str(self.root / "incoming")}}
        untouched(
            before,
            {p: s for p, s in after.items() if p not in new | added | set(linked) - before.keys()},
            {**changed, **linked},
        )
        for path in new:
            assert (after[path].mode & 0o7777, after[path].uid) == (0o440, 0)
        self.day = next(self.days)
        for name in (VILLAIN, VICTIM):
            self.honest(name)
            assert not check(self.root_of(name), at(self.day)).damaged


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    scratch = tmp_path_factory.mktemp("hostile-host")
    with own_machine(scratch):
        made = Host(scratch)
        with running_sshd(made.config, scratch / "sshd.log"):
            for name in (VILLAIN, VICTIM):
                made.honest(name)
            yield made


def served(host: Host) -> str:
    return f"{NEXT}/{min(name for name in os.listdir(host.next) if 'manifest' in name)}"


def committed(host: Host) -> str:
    return "/" + str(next((host.root / "backups").rglob("*.gpg")).relative_to(host.root))


FORBIDDEN: dict[str, Callable[[Host, Session], object]] = {
    "a symbolic link": lambda host, it: it.symlink("/etc/passwd", f"{NEXT}/l"),
    "a symbolic link to its own file": lambda host, it: it.symlink("FINISHED", f"{NEXT}/l"),
    "a hard link to a served file": lambda host, it: it.extended(
        "hardlink@openssh.com", text(served(host)) + text(f"{NEXT}/l")
    ),
    "a hard link to its settings": lambda host, it: it.extended(
        "hardlink@openssh.com", text("/cya.toml") + text(f"{NEXT}/l")
    ),
    "a directory": lambda host, it: it.mkdir(f"{NEXT}/d"),
    "next removed": lambda host, it: it.rmdir(NEXT),
    "next renamed": lambda host, it: it.rename(NEXT, "/incoming/finished"),
    "next renamed over": lambda host, it: it.extended("posix-rename@openssh.com", text(NEXT) + text("/outgoing")),
    "a served file renamed out": lambda host, it: it.rename(served(host), "/outgoing/x"),
    "a file renamed in": lambda host, it: it.rename("/cya.toml", f"{NEXT}/x"),
    "next's mode": lambda host, it: it.chmod(NEXT, 0o777),
    "next's owner": lambda host, it: it.chown(NEXT, 0),
    "next's times": lambda host, it: it.utime(NEXT),
    "a served file's mode": lambda host, it: it.chmod(served(host), 0o666),
    "a served file's size": lambda host, it: it.truncate(served(host), 0),
    "a served file written": lambda host, it: it.open(served(host), WRITE),
    "a served file appended to": lambda host, it: it.open(served(host), WRITE | APPEND),
    "a served file's mode by its handle": lambda host, it: it.fchmod(it.open(served(host), READ), 0o666),
    "a served file's size by its handle": lambda host, it: it.ftruncate(it.open(served(host), READ), 0),
    "a served file written by a handle for reading": lambda host, it: it.write(it.open(served(host), READ), b"x"),
    "a mode without following": lambda host, it: it.extended(
        "lsetstat@openssh.com", text(NEXT) + struct.pack(">II", 4, 0o777)
    ),
    "a copy on the server": lambda host, it: it.extended(
        "copy-data",
        text(it.open("/cya.toml", READ))
        + struct.pack(">QQ", 0, 0)
        + text(it.open(f"{NEXT}/c", WRITE | CREATE))
        + bytes(8),
    ),
    "names of the host's users": lambda host, it: it.extended(
        "users-groups-by-id@openssh.com", text(bytes(4)) + text(b"")
    ),
    "state listed": lambda host, it: it.opendir("/state"),
    "backups listed": lambda host, it: it.opendir("/backups"),
    "a committed file read": lambda host, it: it.open(committed(host), READ),
    "a committed file removed": lambda host, it: it.remove(committed(host)),
    "a committed file's size": lambda host, it: it.stat(committed(host)),
    "a file of root's read": lambda host, it: it.open("/secret", READ),
    "a file outside of its root": lambda host, it: it.open("/etc/passwd", READ),
    "a file outside by dots": lambda host, it: it.open("/../../../etc/passwd", READ),
    "another client's settings": lambda host, it: it.open(f"/../{VICTIM}/cya.toml", READ),
    "another client's next": lambda host, it: it.opendir(f"/srv/cya/{VICTIM}/incoming/next"),
    "processes": lambda host, it: it.open("/proc/self/mem", WRITE),
    "a new file in its root": lambda host, it: it.open("/new", WRITE | CREATE),
    "a new file in incoming": lambda host, it: it.open("/incoming/new", WRITE | CREATE),
    "a new file in outgoing": lambda host, it: it.open("/outgoing/new", WRITE | CREATE),
    "a name with a slash at its end": lambda host, it: it.open(f"{NEXT}/x/", WRITE | CREATE),
    "a name of 256 bytes": lambda host, it: it.open(f"{NEXT}/{'x' * 256}", WRITE | CREATE),
}


def test_what_is_forbidden_over_sftp_is_refused_and_changes_nothing(host: Host) -> None:
    with host.unharmed(), host.session() as it:
        before = sorted(os.listdir(host.next))
        for name, act in FORBIDDEN.items():
            try:
                act(host, it)
            except Refused:
                continue
            pytest.fail(f"{name}: the server has done it")
        assert set(os.listdir(host.next)) - {"c"} == set(before)
        (host.next / "c").unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["expand-path@openssh.com", "limits@openssh.com", "statvfs@openssh.com"])
def test_what_the_server_tells_is_about_its_own_root(host: Host, name: str) -> None:
    with host.unharmed(), host.session() as it, suppress(Refused):
        data = {"limits@openssh.com": b"", "statvfs@openssh.com": text("/")}.get(name, text("~root/x"))
        _, answer = it.extended(name, data)
        assert b"/root" not in answer
        assert b"/srv" not in answer


def test_a_handle_that_stays_open_makes_it_wait_and_then_a_copy_is_committed(host: Host) -> None:
    with host.unharmed(), host.session() as it:
        files = host.made(VILLAIN)
        volume = next(name for name in files if ".vol1." in name)
        for name, data in files.items():
            if name != volume:
                it.put(f"{NEXT}/{name}", data)
        handle = it.open(f"{NEXT}/{volume}", WRITE | CREATE)
        it.write(handle, files[volume])
        for _ in range(3):
            done = host.collect()
            assert (len(done.deferred), done.committed, done.refused) == (1, [], [])
        assert len(host.collect().committed) == 1
        it.write(handle, b"garbage")
        with pytest.raises(Refused):
            it.ftruncate(handle, 0)
        (copy, *_) = (host.root / "backups").rglob(volume)
        assert copy.read_bytes() == files[volume]


def test_a_session_that_is_stopped_in_the_middle_holds_up_nobody(host: Host) -> None:
    with host.unharmed(), host.session() as it:
        handle = it.open(f"{NEXT}/duplicity-full.20260301T000000Z.vol1.difftar.gpg", WRITE | CREATE)
        it.write(handle, b"x")
        it.put(f"{NEXT}/FINISHED", b"{}")
        uid = pwd.getpwnam(VILLAIN).pw_uid
        pids = subprocess.run(["pgrep", "--uid", str(uid)], capture_output=True, text=True, check=True).stdout.split()
        for pid in pids:
            os.kill(int(pid), signal.SIGSTOP)
        try:
            done = host.collect()
            assert len(done.refused) == 1
            assert done.state is State.SERVED
        finally:
            for pid in pids:
                os.kill(int(pid), signal.SIGCONT)


NAMES = [b"junk", b"\xff\xfe", b"a\nb", b"\x1b[2J", b"x" * 255, b"..x", b".hidden", b"FINISHED.new", b" "]


@pytest.mark.parametrize("finished", [b"", b"{}", b"[" * 100_000, b'{"\\u001b[2J":1}', None])
def test_junk_of_odd_names_is_refused_or_ignored(host: Host, finished: bytes | None) -> None:
    with host.unharmed():
        with host.session() as it:
            for name in NAMES:
                it.put(f"{NEXT}/".encode() + name)
            if finished is not None:
                it.put(f"{NEXT}/FINISHED", finished)
        done = host.collect()
        assert len(done.refused) == (finished is not None)
        assert done.committed == []


def test_a_served_manifest_can_be_replaced_and_is_not_taken_back(host: Host) -> None:
    with host.unharmed():
        files = host.made(VILLAIN)
        with host.session() as it:
            place = served(host)
            it.remove(place)
            it.put(place, b"forged")
            for name, data in files.items():
                it.put(f"{NEXT}/{name}", data)
        assert "something else has been put in its place" in host.collect().refused[0]


def test_a_served_file_under_another_name_is_not_taken_for_a_new_one(host: Host) -> None:
    with host.unharmed():
        files = host.made(VILLAIN)
        volume = next(name for name in files if ".vol1." in name)
        with host.session() as it:
            for name, data in files.items():
                if name != volume:
                    it.put(f"{NEXT}/{name}", data)
            it.extended("posix-rename@openssh.com", text(served(host)) + text(f"{NEXT}/{volume}"))
        assert "names; a new file has one" in host.collect().refused[0]


def test_broken_requests_end_the_session_and_nothing_else(host: Host) -> None:
    with host.unharmed():
        for data in (b"\xff" * 64, struct.pack(">IB", 1 << 30, 3), struct.pack(">IB", 5, 250) + bytes(4)):
            with host.session() as it, suppress(BrokenPipeError, EOFError, Refused, AssertionError):
                assert it.process.stdin is not None
                it.process.stdin.write(data)
                it.process.stdin.flush()
                it.process.stdin.close()
                it.process.wait(10)
