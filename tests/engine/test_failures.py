"""What goes wrong, and what people are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, RestoreJob
from cya.engine.registry import engine_named
from cya.errors import ConfigError, CyaError, DecryptionFailed, EngineError, IntegrityError, MissingProgram
from tests.engine.conftest import PLAIN, SECRET, T1, T2, Backup, Restore, needs_root


@pytest.fixture
def volumes(backup: Backup, source: Path, target: Path) -> list[Path]:
    """Three volumes of one full."""
    (source / "noise").write_bytes(os.urandom(5 << 19))
    backup(T1, SECRET, volume_size=1)
    return sorted(target.glob("*difftar*"))


def damage(path: Path, at: int = 200) -> None:
    data = bytearray(path.read_bytes())
    for place in range(at, at + 8):
        data[place] ^= 0xFF
    path.write_bytes(data)


def test_a_damaged_volume_is_named(volumes: list[Path], restore: Restore) -> None:
    damage(volumes[1], 5000)
    with pytest.raises(IntegrityError, match=volumes[1].name) as caught:
        restore(T1, SECRET)
    assert "Traceback" not in str(caught.value)
    assert "hash mismatch" in "".join(caught.value.__notes__)


def test_a_damaged_volume_of_an_increment_is_not_overlooked(
    backup: Backup, restore: Restore, source: Path, target: Path
) -> None:
    backup(T1)
    (source / "dir" / "data").write_bytes(os.urandom(1000) + bytes(range(256)) * 1000)
    backup(T2)
    damage(next(target.glob("duplicity-inc*difftar*")))
    with pytest.raises(IntegrityError, match=r"duplicity-inc.*difftar"):
        restore(T2)


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_missing_volume_is_named(volumes: list[Path], restore: Restore, which: int) -> None:
    volumes[which].unlink()
    with pytest.raises(IntegrityError, match=f"missing: {volumes[which].name}"):
        restore(T1, SECRET)


def test_a_missing_manifest_is_named(volumes: list[Path], restore: Restore, target: Path) -> None:
    next(target.glob("*manifest*")).unlink()
    with pytest.raises(IntegrityError, match=r"missing: duplicity-full.*manifest.gpg"):
        restore(T1, SECRET)


def test_a_damaged_sigtar_is_named(engine: Duplicity, volumes: list[Path], target: Path) -> None:
    next(target.glob("*sigtar*")).write_bytes(b"this is no message")
    with pytest.raises(IntegrityError, match=r"signatures.*sigtar.gpg is damaged"):
        list(engine.entries(target, T1, SECRET))


def test_no_passphrase_at_all(volumes: list[Path], restore: Restore) -> None:
    with pytest.raises(DecryptionFailed, match="give the right passphrase"):
        restore(T1, PLAIN)


def test_a_program_that_is_not_there(
    tmp_path: Path, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = BackupJob(source, target, T1, PLAIN)
    with pytest.raises(MissingProgram, match="apt-get install duplicity"):
        Duplicity("/nonexistent/duplicity", tmp_path / "cache").backup(job)
    monkeypatch.setattr("cya.engine.environment._STANDARD_PATH", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingProgram, match="apt-get install gnupg"):
        Duplicity(None, tmp_path / "cache").backup(job)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo duplicity 0.7.19", "duplicity 0.7.19 is not supported"),
        ("echo duplicity 4.0.0", "duplicity 4.0.0 is not supported"),
        ("echo something else", "not duplicity"),
        ("echo Module lost >&2; exit 1", "Module lost"),
    ],
)
def test_a_program_that_cannot_serve(tmp_path: Path, source: Path, target: Path, script: str, reason: str) -> None:
    program = tmp_path / "duplicity"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(EngineError, match=reason):
        Duplicity(program, tmp_path / "cache").backup(BackupJob(source, target, T1, PLAIN))


def test_an_unknown_engine(tmp_path: Path) -> None:
    assert engine_named("duplicity", tmp_path).name == "duplicity"
    with pytest.raises(ConfigError, match="there is: duplicity"):
        engine_named("rsync", tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=False).returncode
    ):
        pytest.skip("cannot mount a small file system here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_target_is_named(engine: Duplicity, source: Path, small: Path) -> None:
    (source / "noise").write_bytes(os.urandom(3 << 20))
    with pytest.raises(EngineError, match=f"no space left in {small} .target.; make room"):
        engine.backup(BackupJob(source, small, T1, PLAIN, volume_size=1))


def test_a_full_cache_is_named(program: Path, source: Path, target: Path, small: Path) -> None:
    with pytest.raises(EngineError, match=f"no space left in {small}/cache .cache."):
        Duplicity(program, small / "cache").backup(BackupJob(source, target, T1, PLAIN, volume_size=1))


def test_a_full_destination_is_named_and_nothing_hangs(
    engine: Duplicity, volumes: list[Path], target: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cya.engine.process.GRACE", 1.0)
    with pytest.raises(EngineError, match=f"no space left in {small} .destination."):
        engine.restore(RestoreJob(target, small, T1, SECRET))


def lacking(program: Path, tmp_path: Path) -> Path:
    """A duplicity that obeys file modes though root runs it: another user might not reach the program."""
    wrapper = tmp_path / "duplicity"
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -dac_override,-dac_read_search -- {program} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


@needs_root
def test_what_cannot_be_read_is_lost_and_the_rest_is_saved(
    program: Path, source: Path, target: Path, tmp_path: Path
) -> None:
    bad = os.fsdecode(b"bad\xff")
    for name in ("secret", "locked/file", "listed/file", bad):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).touch(mode=0)
    (source / "locked").chmod(0)
    (source / "listed").chmod(0o600)
    engine = Duplicity(lacking(program, tmp_path), tmp_path / "cache")
    report = engine.backup(BackupJob(source, target, T1, PLAIN))
    assert {lost.path: lost.reason.split(":")[0] for lost in report.lost} == {
        "secret": "no permission to read it",
        "locked": "no permission to read it",
        "listed/file": "it cannot be examined",
        bad: "no permission to read it",
    }
    kept = {entry.path for entry in Duplicity(program, tmp_path / "cache").entries(target, T1, PLAIN)}
    assert {b"hello", b"listed"} <= kept
    assert not {b"secret", b"locked", b"bad\xff"} & kept


def test_a_file_that_vanishes_is_told_once(program: Path, source: Path, target: Path, tmp_path: Path) -> None:
    # Duplicity opens a file some time after it saw it; here a library of the wrapper's takes it away in between.
    (tmp_path / "sitecustomize.py").write_text(
        "import builtins\n"
        "real = builtins.open\n"
        "def vanished(file, *rest, **more):\n"
        f"    if file == {os.fsencode(source / 'hello')!r}:\n"
        "        raise FileNotFoundError(2, 'No such file or directory')\n"
        "    return real(file, *rest, **more)\n"
        "builtins.open = vanished\n"
    )
    wrapper = tmp_path / "duplicity"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {program} "$@"\n')
    wrapper.chmod(0o755)
    report = Duplicity(wrapper, tmp_path / "cache").backup(BackupJob(source, target, T1, PLAIN))
    assert [(lost.path, lost.reason) for lost in report.lost] == [("hello", "No such file or directory")]


def test_a_hundred_thousand_warnings_do_not_block(tmp_path: Path, source: Path, target: Path) -> None:
    program = tmp_path / "duplicity"
    program.write_text(
        f"""#!{sys.executable}
import os, re, sys
if "--version" in sys.argv:
    print("duplicity 3.2.1")
    sys.exit()
fd = int(re.search(r"--log-fd=(\\d+)", " ".join(sys.argv))[1])
with os.fdopen(fd, "wb") as log:
    for number in range(100_000):
        log.write(b"WARNING 10 '{source}/%d'\\n. Error accessing possibly locked file \\xff%d\\n\\n" % (number, number))
        if number % 10 == 0:
            print("noise" * 30)
            print("more noise" * 30, file=sys.stderr)
    log.write(b"ERROR 30 Oops\\n. Traceback (innermost last):\\n.   File x\\n.  ValueError: the end\\n")
sys.exit(30)
"""
    )
    program.chmod(0o755)
    with pytest.raises(CyaError, match=r"exit 30\): ValueError: the end(\n|$)") as caught:
        Duplicity(program, tmp_path / "cache").restore(RestoreJob(served(target), empty(tmp_path), T1, PLAIN))
    assert caught.value.__notes__ == ["ValueError: the end"]
    assert vars(caught.value)["details"].startswith("Traceback")


def served(target: Path) -> Path:
    for name in ("vol1.difftar", "manifest"):
        (target / f"duplicity-full.20010909T014640Z.{name}").touch()
    return target


def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"
