"""The child process: secrets, signals, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, Encryption, Progress
from tests.engine.conftest import T1, T2, Backup, Restore, tree

SECRET = Encryption(passphrase="xyzzy-plugh-4711")


def processes_with(word: bytes) -> dict[int, bytes]:
    """Return the command lines of all processes that mention a word."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if word in command or word in environment:
            found[int(pid)] = command
    return found


@pytest.fixture
def noisy(source: Path) -> Path:
    for number in range(12):
        (source / f"noise{number}").write_bytes(os.urandom(1 << 20))
    return source


def test_the_passphrase_is_on_no_command_line(
    backup: Backup, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A gpg that first writes down its command line and those of all its ancestors.
    seen = tmp_path / "seen"
    wrapper = tmp_path / "bin" / "gpg"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"""#!/bin/sh
pid=$$
while [ "$pid" -gt 1 ]; do
    tr '\\0' ' ' < /proc/$pid/cmdline; echo
    pid=$(sed 's/.*) . \\([0-9]*\\) .*/\\1/' /proc/$pid/stat)
done >> {seen}
exec /usr/bin/gpg "$@"
"""
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=":")
    backup(T1, SECRET)
    commands = seen.read_text()
    assert "--symmetric" in commands
    assert f"--archive-dir={tmp_path}" in commands
    assert str(SECRET.passphrase) not in commands


def test_our_environment_does_not_reach_duplicity(
    backup: Backup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os._exit(77)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    assert backup(T1).kind == "full"


def test_an_exception_ends_the_child_and_nothing_is_left(
    engine: Duplicity, noisy: Path, target: Path, tmp_path: Path
) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.backup(BackupJob(noisy, target, T1, SECRET, volume_size=1), interrupt)
    assert processes_with(os.fsencode(tmp_path / "cache")) == {}
    assert os.listdir(tmp_path / "cache" / "tmp") == []
    assert os.listdir(target) == []


@pytest.fixture
def killed(program: Path, noisy: Path, target: Path, tmp_path: Path, gnupg_home: Path) -> None:
    """A run that was killed in mid backup by kill -9 of its parent."""
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            from cya.engine.duplicity import Duplicity
            from cya.engine.protocol import BackupJob, Encryption
            engine = Duplicity({str(program)!r}, Path({str(tmp_path / "cache")!r}), Path({str(gnupg_home)!r}))
            secret = Encryption("xyzzy-plugh-4711")
            engine.backup(BackupJob(Path({str(noisy)!r}), Path({str(target)!r}), {T1}, secret, volume_size=1))
            """
        )
    )
    parent = subprocess.Popen([sys.executable, script])
    patience = time.monotonic() + 60
    while len(os.listdir(target)) < 3 and time.monotonic() < patience:
        time.sleep(0.01)
    parent.send_signal(signal.SIGKILL)
    parent.wait()


@pytest.mark.usefixtures("killed")
def test_kill_9_of_the_parent_takes_duplicity_and_gpg_with_it(tmp_path: Path) -> None:
    # A gpg ends when it reads the end of its input, on a busy machine not at once; and between fork and exec it is
    # not to be seen for a moment, so that one look that finds nothing says nothing.
    patience = time.monotonic() + 30
    looks = 0
    while looks < 20 and time.monotonic() < patience:
        looks = 0 if processes_with(os.fsencode(tmp_path / "cache")) else looks + 1
        time.sleep(0.05)
    assert processes_with(os.fsencode(tmp_path / "cache")) == {}


@pytest.mark.usefixtures("killed")
def test_after_a_kill_the_next_run_starts_over(
    engine: Duplicity, backup: Backup, restore: Restore, source: Path, target: Path, destination: Path, tmp_path: Path
) -> None:
    known = tmp_path / "cache" / "archive-dir" / "backup"
    assert any(b".part" in name for name in os.listdir(os.fsencode(known)))
    engine.forget_partial([])
    assert os.listdir(known) == []
    assert os.listdir(tmp_path / "cache" / "tmp") == []
    for leftover in target.iterdir():
        leftover.unlink()
    # Resuming would keep what volume 1 held of this file, and sign what it holds now.
    data = (source / "dir" / "data").read_bytes()
    (source / "dir" / "data").write_bytes(b"X" * 1000 + data[1000:])
    assert backup(T2, SECRET, volume_size=1).start is None
    restore(T2, SECRET)
    assert tree(destination) == tree(source)


def test_forgetting_keeps_what_is_served(engine: Duplicity, backup: Backup, target: Path, tmp_path: Path) -> None:
    backup(T1)
    kept = set(os.listdir(tmp_path / "cache/archive-dir/backup"))
    served = [os.fsencode(name) for name in os.listdir(target)]
    backup(T2)
    engine.forget_partial(served)
    assert set(os.listdir(tmp_path / "cache/archive-dir/backup")) == kept
