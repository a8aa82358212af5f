"""With stock duplicity: ``.dupext`` is in the source while it runs, and never after; links are stored once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cya.engine import duplicity_side
from cya.engine.protocol import Encryption
from cya.errors import EngineError
from tests.engine.conftest import T1, T2, T3, Backup, Restore, needs_root

CONTENT = random.Random(4).randbytes(300_000)
MOMENT = 900_000_000_123_456_789


def linked(source: Path) -> None:
    (source / "dir/m").write_bytes(CONTENT)
    for name in ("dir/z", "zz"):
        os.link(source / "dir/m", source / name)
    os.utime(source, ns=(MOMENT, MOMENT))


def size(target: Path) -> int:
    return sum(path.stat().st_size for path in target.iterdir())


def test_it_is_in_the_backup_and_not_in_the_source_which_keeps_its_time(
    source: Path, target: Path, destination: Path, backup: Backup, restore: Restore
) -> None:
    linked(source)
    os.setxattr(source / "hello", "user.a", b"1")
    assert backup(metadata=True).lost == ()
    assert not (source / ".dupext").exists()
    assert source.stat().st_mtime_ns == MOMENT
    assert size(target) < 2 * len(CONTENT)
    report = restore(numeric_owner=True)
    assert report.lost == ()
    assert not (destination / ".dupext").exists()
    assert len({(destination / name).stat().st_ino for name in ("dir/m", "dir/z", "zz")}) == 1
    assert os.getxattr(destination / "hello", "user.a") == b"1"
    assert destination.stat().st_mtime_ns == MOMENT


def test_some_paths_are_restored_whichever_name_the_archive_has(
    source: Path, destination: Path, backup: Backup, restore: Restore
) -> None:
    linked(source)
    os.utime(source / "zz", ns=(MOMENT, MOMENT))
    backup(metadata=True)
    assert restore(paths=(Path("zz"), Path("hello"))).lost == ()
    assert sorted(os.listdir(destination)) == ["hello", "zz"]
    assert (destination / "zz").read_bytes() == CONTENT
    assert (destination / "zz").stat().st_mtime_ns == MOMENT


def test_nothing_new_is_stored_when_nothing_has_changed_and_a_new_name_costs_nothing(
    source: Path, target: Path, backup: Backup
) -> None:
    linked(source)
    backup(metadata=True)
    statistics = backup(T2, metadata=True).statistics
    assert (statistics["NewFiles"], statistics["ChangedFiles"], statistics["DeletedFiles"]) == (0, 0, 0)
    before = size(target)
    os.link(source / "zz", source / "a")
    backup(T3, metadata=True)
    assert size(target) - before < len(CONTENT) // 10


def test_patterns_and_marks_do_not_keep_it_out(
    source: Path, destination: Path, backup: Backup, restore: Restore
) -> None:
    os.setxattr(source / "hello", "user.a", b"1")
    backup(metadata=True, patterns=(f"+ {source}/hello", "- **"))
    restore()
    assert os.listdir(destination) == ["hello"]
    assert os.getxattr(destination / "hello", "user.a") == b"1"


def test_it_is_gone_when_the_backup_fails(source: Path, target: Path, backup: Backup) -> None:
    backup(metadata=True)
    for path in target.glob("*.manifest"):
        path.write_bytes(b"")
    with pytest.raises(Exception, match=r"."):
        backup(T2, metadata=True, encryption=Encryption(recipients=("nobody-has-this-key",)))
    assert not (source / ".dupext").exists()


def test_what_a_killed_run_left_is_removed_by_the_next(source: Path, target: Path, backup: Backup) -> None:
    backup(metadata=True)
    place = source / ".dupext"
    place.mkdir()
    (place / "format.txt").write_text("cya dupext 1\n")
    (place / "acl.txt").write_text("old")
    backup(T2)
    assert not place.exists()


@pytest.mark.parametrize("thing", ["file", "link", "directory"])
def test_what_is_not_ours_is_never_removed(source: Path, backup: Backup, tmp_path: Path, thing: str) -> None:
    place = source / ".dupext"
    if thing == "file":
        place.write_text("mine")
    elif thing == "link":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/format.txt").write_text("cya dupext 1\n")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
        (place / "mine").write_text("mine")
    with pytest.raises(EngineError, match=r"\.dupext: is in the way"):
        backup(metadata=True)
    assert os.path.lexists(place)
    assert thing != "link" or (tmp_path / "elsewhere/format.txt").exists()
    assert thing != "directory" or (place / "mine").read_text() == "mine"


@needs_root
def test_a_source_that_cannot_be_written_to_is_backed_up_and_what_is_missing_said(
    source: Path, tmp_path: Path, program: Path, target: Path, gnupg_home: Path
) -> None:
    linked(source)
    script = f"""
import os, sys
from pathlib import Path
from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, Encryption
engine = Duplicity(Path({str(program)!r}), Path({str(tmp_path / "cache")!r}), Path({str(gnupg_home)!r}))
report = engine.backup(BackupJob(Path({str(source)!r}), Path({str(target)!r}), {T1}, Encryption(), metadata=True))
print(report.lost)
"""
    mount = f"mount --bind {source} {source} && mount -o remount,ro,bind {source}"
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && "$0" -c "$1"', sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "path='.dupext'" in ran.stdout
    assert "are not kept" in ran.stdout
    assert size(target) > 3 * len(CONTENT)


def test_killed_it_leaves_what_the_next_run_removes(
    source: Path, target: Path, tmp_path: Path, gnupg_home: Path, program: Path, backup: Backup
) -> None:
    for number in range(400):
        (source / f"file{number}").write_bytes(random.Random(number).randbytes(50_000))
    script = f"""
from pathlib import Path
from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, Encryption
engine = Duplicity(Path({str(program)!r}), Path({str(tmp_path / "cache")!r}), Path({str(gnupg_home)!r}))
engine.backup(BackupJob(Path({str(source)!r}), Path({str(target)!r}), {T1}, Encryption(), metadata=True))
"""
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    until = time.monotonic() + 60
    while not (source / ".dupext/format.txt").exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (source / ".dupext").exists()
    for path in target.iterdir():
        path.unlink()
    backup(T2, metadata=True)
    assert not (source / ".dupext").exists()


def test_without_metadata_nothing_is_put_there(source: Path, backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(duplicity_side, "_write", fail)
    backup()
    assert not (source / ".dupext").exists()
