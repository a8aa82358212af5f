"""A machine of a test's own: /etc, /run and /srv that nobody else sees, and the archive's sshd in it.

The calling thread goes into a mount namespace of its own and comes back, so that tests can call cya's functions and
see its users, while the machine's /etc/passwd stays as it is. What the thread starts is in there, too.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cya.archive import sshd
from cya.config.archive import ArchiveConfig
from tests.mounts import own_mounts

CYA = Path(sys.executable).with_name("cya")


def needed() -> str | None:
    """What keeps these tests from running here."""
    if os.geteuid() != 0:
        return "needs root: makes users and starts sshd"
    missing = [name for name in ("sshd", "useradd", "ssh-keygen", "sftp") if shutil.which(name, path=_PATH) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


@contextmanager
def own_machine(scratch: Path) -> Iterator[None]:
    """Be on a machine of one's own for the block; skip visibly where that cannot be."""
    if reason := needed():
        pytest.skip(reason)
    with own_mounts():
        _mount(scratch)
        yield


def _mount(scratch: Path) -> None:
    def run(*command: str | Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no private /etc here: {done.stderr.strip()}")

    copy = scratch / "etc"
    copy.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", copy)
    run("cp", "-a", "/etc/.", copy)
    run("mount", "--bind", copy, "/etc")
    # Processes are seen by all: other ids than those of a test that runs at the same time, or one ends the other's.
    first = 100_000_000 + os.getpid() * 20
    with Path("/etc/login.defs").open("a") as file:
        for kind in ("UID", "GID"):
            file.write(f"SYS_{kind}_MIN {first}\nSYS_{kind}_MAX {first + 19}\n")
    for place in ("/run", "/srv"):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_sshd(config: ArchiveConfig, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the archive's sshd, with no more of root's powers than its unit leaves it."""
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in sshd.CAPABILITIES)
    confined = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs", "--bounding-set", f"-all,{kept}", "--inh-caps=-all"]
    program = shutil.which("sshd", path=_PATH) or "sshd"
    with log.open("wb") as output:
        command = [*confined, program, "-D", "-e", "-f", f"{config.sshd_dir}/{sshd.CONFIG}"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _await_banner(config.sshd_port, process, log)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_banner(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                assert connection.recv(4) == b"SSH-"
                return
        except ConnectionRefusedError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
    pytest.fail(f"sshd does not answer: {log.read_text()}")


class Client:
    """A client's machine: its key, the archive's host key, and the programs of OpenSSH."""

    def __init__(self, place: Path, user: str, port: int) -> None:
        place.mkdir()
        self.user, self.port = user, port
        self.key, self.known_hosts = place / "key", place / "known_hosts"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", user, "-f", self.key], check=True)

    @property
    def public_key(self) -> str:
        return self.key.with_suffix(".pub").read_text()

    def options(self, key: Path | None = None) -> list[str]:
        settings = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "GlobalKnownHostsFile": "/dev/null",
            "ConnectTimeout": "20",
        }
        words = ["-F", "none", "-i", str(key or self.key)]
        for name, value in settings.items():
            words += ["-o", f"{name}={value}"]
        return words

    def sftp(self, *lines: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a batch; it ends at the first line that fails."""
        command = ["sftp", *self.options(key), "-P", str(self.port), "-b", "-", f"{self.user}@localhost"]
        return _run(command, "\n".join(lines) + "\n")

    def ssh(self, *words: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        return _run(["ssh", *self.options(key), "-p", str(self.port), "-l", self.user, *words], "")


def _run(command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
