"""A host that backs itself up over SFTP, and the archive host: a real sshd on a machine of the test's own."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from cya.archive import sshd
from cya.archive.clients import add_client
from cya.archive.collect import Collected, collect
from cya.config.archive import ArchiveConfig, load
from tests.archive.conftest import at
from tests.archive.own_machine import free_port, own_machine, running_sshd
from tests.e2e.conftest import Host

START = "2026-03-02T02:00:00"
USER = "cyatest-sftp"


class ArchiveHost:
    """The archive's sshd, which can be stopped and started."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        file = Path("/etc/cya/archive.toml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'roots = ["/srv/cya/*"]\nsshd_port = {free_port()}\n')
        self.config: ArchiveConfig = load(file)
        self._count = 0

    @property
    def port(self) -> int:
        return self.config.sshd_port

    @contextmanager
    def sshd(self) -> Iterator[subprocess.Popen[bytes]]:
        self._count += 1
        with running_sshd(self.config, self.scratch / f"sshd-{self._count}.log") as process:
            try:
                yield process
            finally:
                for user in pwd.getpwall():  # sessions outlive their sshd
                    if user.pw_name.startswith(USER):
                        end_sessions(user.pw_name)

    def take_in(self, user: str, public_key: str, now: str = START) -> Path:
        """Add a client; return its root."""
        return add_client(user, public_key, self.config, at(now)).root

    def forget(self, user: str) -> None:
        """Let a client go: the machine has ids for twenty at a time."""
        end_sessions(user)
        subprocess.run(["userdel", user], check=True)

    @property
    def host_key(self) -> str:
        return sshd.host_key(self.config)


def end_sessions(user: str) -> int:
    """Kill what serves a user's connections; return how many processes."""
    uid, count = pwd.getpwnam(user).pw_uid, 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            if f"\nUid:\t{uid}\t" in text:
                os.kill(int(status.parent.name), signal.SIGKILL)
                count += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return count


class SftpHost(Host):
    """A client of that host."""

    def __init__(self, place: Path, duplicity: Path, archive: ArchiveHost, user: str, engine: str = "native") -> None:
        super().__init__(place, duplicity, engine)
        self.archive, self.user = archive, user
        self.root = Path("/srv/cya") / user
        self.next = self.root / "incoming" / "next"
        self.spool = self.cache / "sftp" / "spool"
        self.mirror = self.cache / "sftp" / "next"
        self.running: list[subprocess.Popen[str]] = []
        self.sheet = ""

    def close(self) -> None:
        for each in self.running:
            each.kill()
            each.communicate()
        super().close()

    def set_up(self, settings: str = "", sftp: str = "", host: str = "localhost") -> None:
        """``cya init``, ``cya add-client`` and what each prints for the other; ``sftp``: lines for that table."""
        address = f"sftp://{self.user}@{host}:{self.archive.port}"
        words = ("--source", self.source, "--archive", address, "--engine", self.engine)
        self.sheet = self.run("init", "--config", self.config, *words).stdout
        self.archive.take_in(self.user, self.config.with_suffix(".key.pub").read_text())
        own = f'cache_dir = "{self.cache}"\nduplicity = "{self.duplicity}"\ngnupg_home = "{self.gnupg}"\n{settings}'
        text = self.config.read_text().replace("[sftp]", f'[sftp]\nhost_key = "{self.archive.host_key}"\n{sftp}')
        lines = [line for line in text.splitlines() if not line.startswith(("duplicity =", "volume_size ="))]
        self.config.write_text(own + "\n".join(lines) + "\n")

    def collect(self, now: str) -> Collected:
        return collect(self.root, at(now))

    def start(self, now: str) -> subprocess.Popen[str]:
        return self.run_in_background("backup", "--config", self.config, "--now", now)

    def run_in_background(self, *words: object) -> subprocess.Popen[str]:
        running = subprocess.Popen(
            [*self.wrapper, *self.command(*words)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(running)
        return running

    def uploaded(self) -> list[str]:
        """Names of volumes that have arrived."""
        return [name for name in os.listdir(self.next) if ".difftar" in name and not name.startswith(".")]

    def parts(self) -> list[str]:
        """Names of what is on its way."""
        return [name for name in os.listdir(self.next) if name.endswith(".part")]

    def ended(self, running: subprocess.Popen[str], status: int = 0) -> str:
        """Wait for a backup; return what it said."""
        said, errors = running.communicate(timeout=120)
        assert running.returncode == status, f"{running.returncode}\n{said}\n{errors}"
        assert "Traceback" not in errors, errors
        return errors


def until(true: Callable[[], object], running: subprocess.Popen[str] | None = None, seconds: float = 60) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not true():
        assert running is None or running.poll() is None, running.communicate()
        if time.monotonic() > deadline:
            pytest.fail("it does not come about")
        time.sleep(0.01)


@contextmanager
def archive_host(scratch: Path, *, started: bool = True) -> Iterator[ArchiveHost]:
    """Be on a machine with an archive's sshd for the block."""
    with own_machine(scratch):
        made = ArchiveHost(scratch)
        Path("/srv/cya").mkdir()
        sshd.write(made.config)
        with made.sshd() if started else nullcontext():
            yield made
