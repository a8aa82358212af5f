"""With stock duplicity: ``.dupext`` is in the source while it runs, and never after; links are stored once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cya.engine import duplicity_side
from cya.engine.native.reading.applying import Applying
from cya.engine.protocol import Encryption
from cya.errors import EngineError, NotInBackup
from cya.metadata import inode_flags
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


def test_what_has_changed_is_stored_also_in_the_same_second(
    source: Path, destination: Path, backup: Backup, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_234_567_890.0)
    for number, moment in enumerate((T1, T2, T3)):
        os.setxattr(source / "hello", "user.a", b"%d" % number)
        backup(moment, metadata=True)
    restore(T3)
    assert os.getxattr(destination / "hello", "user.a") == b"2"


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
    until = time.monotonic() + 60
    while True:  # duplicity itself notices a little later that nobody listens any more
        try:
            backup(T2, metadata=True)
            break
        except EngineError:
            assert time.monotonic() < until
            time.sleep(1)
    assert not (source / ".dupext").exists()


@pytest.mark.parametrize("begun", [b"", b"cya d"])
def test_killed_at_its_first_file_it_is_removed_and_what_is_beside_is_not(
    source: Path, backup: Backup, begun: bytes
) -> None:
    (source / ".dupext").mkdir(mode=0o700)
    (source / ".dupext/format.txt").write_bytes(begun)
    (source / ".dupext/acl.txt").write_bytes(b"somebody else's")
    with pytest.raises(EngineError, match="was not made by this cya"):
        backup(metadata=True)
    (source / ".dupext/acl.txt").unlink()
    backup(metadata=True)
    assert not (source / ".dupext").exists()


def test_without_metadata_nothing_is_put_there(source: Path, backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(duplicity_side, "_write", fail)
    backup()
    assert not (source / ".dupext").exists()


def swapped_by(monkeypatch: pytest.MonkeyPatch, swap: Callable[[], object]) -> None:
    """Let somebody do something to ``.dupext`` right after it was made."""
    mkdir = os.mkdir

    def made(path: str | bytes, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(path, mode, dir_fd=dir_fd)
        if path == ".dupext":
            swap()

    monkeypatch.setattr(os, "mkdir", made)


@pytest.mark.parametrize("by", ["a link", "another directory", "one with something in it", "nothing"])
def test_one_that_is_swapped_when_it_was_made_is_not_followed_nor_stored(
    source: Path,
    destination: Path,
    backup: Backup,
    restore: Restore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    linked(source)
    place, outside = source / ".dupext", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")

    def swap() -> None:
        place.rename(source / "moved")
        if by == "a link":
            place.symlink_to(outside)
        elif by == "another directory":
            place.mkdir(0o755)
            place.chmod(0o755)
        elif by == "one with something in it":
            outside.chmod(0o700)
            outside.rename(place)

    swapped_by(monkeypatch, swap)
    [lost] = backup(metadata=True).lost
    assert lost.path == ".dupext"
    assert "are not kept" in lost.reason
    assert os.listdir(place if by == "one with something in it" else outside) == ["precious"]
    assert source.stat().st_mtime_ns == MOMENT
    restore()
    assert not os.path.lexists(destination / ".dupext")
    assert (destination / "zz").read_bytes() == CONTENT


@pytest.mark.parametrize("back", [False, True])
def test_one_that_is_renamed_while_duplicity_runs_ends_the_backup(
    source: Path, target: Path, backup: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "format.txt").write_text("mine")
    put_back = duplicity_side._put_back

    def swap(root: int, top: os.stat_result) -> None:
        monkeypatch.setattr(duplicity_side, "_put_back", put_back)
        time.sleep(0.05)
        (source / ".dupext").rename(source / "moved")
        (source / ".dupext").symlink_to(outside)
        if back:
            (source / ".dupext").unlink()
            (source / "moved").rename(source / ".dupext")

    monkeypatch.setattr(duplicity_side, "_put_back", swap)
    with pytest.raises(EngineError, match=r"\.dupext: somebody renamed"):
        backup(metadata=True)
    assert (outside / "format.txt").read_text() == "mine"
    assert (source / ".dupext").is_symlink() is not back
    assert back or os.listdir(source / "moved") == []
    assert os.listdir(target) == []


def test_a_fifo_in_the_place_of_its_files_does_not_block(source: Path, backup: Backup) -> None:
    (source / ".dupext").mkdir()
    os.mkfifo(source / ".dupext/format.txt")
    with pytest.raises(EngineError, match=r"\.dupext: is in the way"):
        backup(metadata=True)


def left(source: Path) -> Path:
    place = source / ".dupext"
    place.mkdir()
    (place / "format.txt").write_text("cya dupext 1\n")
    return place


def test_a_dry_run_removes_nothing(source: Path, backup: Backup) -> None:
    place = left(source)
    backup(metadata=True, dry_run=True)
    assert os.listdir(place) == ["format.txt"]


def test_what_is_left_is_removed_without_a_word_and_what_is_not_ours_left_alone(source: Path) -> None:
    place = left(source)
    os.utime(source, ns=(MOMENT, MOMENT))
    duplicity_side.remove_left(source)
    assert not place.exists()
    assert source.stat().st_mtime_ns == MOMENT
    place.mkdir()
    (place / "mine").write_text("mine")
    duplicity_side.remove_left(source)
    assert (place / "mine").exists()
    duplicity_side.remove_left(source / "missing")


@needs_root
def test_what_somebody_else_made_is_no_left_one(source: Path) -> None:
    place = left(source)
    os.chown(place, 65534, 65534)
    duplicity_side.remove_left(source)
    assert (place / "format.txt").exists()


@pytest.mark.parametrize("existing", ["keep", "replace"])
def test_a_restore_removes_nothing_of_a_dupext_that_was_there(
    destination: Path, backup: Backup, restore: Restore, existing: str
) -> None:
    backup(metadata=True, system=True)
    (destination / ".dupext/system").mkdir(parents=True)
    for name in ("mine", "system/mine"):
        (destination / ".dupext" / name).write_text("mine")
    restore(existing=existing)
    found = sorted(str(path.relative_to(destination)) for path in destination.glob(".dupext/**/*"))
    assert found == [".dupext/mine", ".dupext/system", ".dupext/system/mine"]


def test_what_an_interrupted_restore_left_of_it_is_removed(destination: Path, backup: Backup, restore: Restore) -> None:
    backup(metadata=True)
    left(destination)
    restore(existing="resume")
    assert not (destination / ".dupext").exists()


CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""cap_net_raw+ep: vfs_cap_data, revision 2 (linux/capability.h)."""


@needs_root
def test_nobody_can_enter_a_new_destination_before_all_is_done(
    source: Path, destination: Path, backup: Backup, restore: Restore, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked(source)
    program = source / "dir/program"
    program.write_text("#!")
    for path in (program, source / "dir", source):
        os.chown(path, 65534, 65534)
    os.setxattr(program, "security.capability", CAPABILITY)
    os.chmod(source, 0o2751)
    os.utime(source, ns=(MOMENT, MOMENT))
    backup(metadata=True)
    seen: list[tuple[int, int]] = []
    apply = Applying.apply

    def looked(self: Applying) -> None:
        seen.append((destination.stat().st_uid, destination.stat().st_mode & 0o7777))
        apply(self)
        seen.append((destination.stat().st_uid, destination.stat().st_mode & 0o7777))

    monkeypatch.setattr(Applying, "apply", looked)
    assert restore(numeric_owner=True).lost == ()
    assert seen == [(0, 0o700)] * 2
    there = destination.stat()
    assert (there.st_uid, there.st_mode & 0o7777, there.st_mtime_ns) == (65534, 0o2751, MOMENT)
    assert os.getxattr(destination / "dir/program", "security.capability") == CAPABILITY


@needs_root
def test_a_destination_gets_its_owner_and_mode_back_when_the_restore_fails(
    target: Path, destination: Path, backup: Backup, restore: Restore
) -> None:
    backup(metadata=True)
    os.chown(destination, 65534, 65534)
    os.chmod(destination, 0o751)
    with pytest.raises(NotInBackup):
        restore(paths=(Path("no such"),))
    there = destination.stat()
    assert (there.st_uid, stat.S_IMODE(there.st_mode)) == (65534, 0o751)


@needs_root
@pytest.mark.parametrize("whose", [0, 65534])
def test_over_what_others_may_change_no_capability_is_set_and_that_said(
    source: Path, destination: Path, backup: Backup, restore: Restore, whose: int
) -> None:
    program = source / "dir/program"
    program.write_text("#!")
    os.setxattr(program, "security.capability", CAPABILITY)
    os.chown(source / "dir", whose, whose)
    backup(metadata=True)
    lost = restore(existing="replace", numeric_owner=True).lost
    has = "security.capability" in os.listxattr(destination / "dir/program")
    assert has is (whose == 0)
    assert [each.path for each in lost] == ([] if has else ["dir/program"])
    assert has or "restore to an empty directory" in lost[0].reason


def test_what_is_kept_under_another_name_than_the_archives_keeps_its_attributes(
    source: Path, destination: Path, backup: Backup, restore: Restore
) -> None:
    linked(source)
    os.setxattr(source / "dir/m", "user.a", b"1")
    backup(metadata=True)
    (destination / "zz").write_text("mine")
    restore(paths=(Path("zz"),), existing="keep")
    assert (destination / "zz").read_text() == "mine"
    assert os.listxattr(destination / "zz") == []


AS_A_USER = """
import json, os, sys
from pathlib import Path
from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, Encryption, RestoreJob
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
home, program, now = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
source, target, to = home / "source", home / "target", home / "to"
for path in (source, target, to, source / "dir", source / "dir/inner"):
    path.mkdir()
for name in ("hello", "dir/inner/m", "dir/x"):
    (source / name).write_text(name)
os.link(source / "dir/inner/m", source / "dir/z")
modes = {"hello": 0o444, "dir/inner/m": 0o400, "dir/x": 0o444, "dir/inner": 0o555, "dir": 0o555}
for name, mode in modes.items():
    os.setxattr(source / name, "user.a", name.encode())
    os.utime(source / name, ns=(900_000_000_123_456_789,) * 2)
    os.chmod(source / name, mode)
engine = Duplicity(program, home / "cache", home)
lost = [*engine.backup(BackupJob(source, target, now, Encryption(), metadata=True)).lost]
lost += engine.restore(RestoreJob(target, to, now, Encryption())).lost
for name, mode in modes.items():
    there = (to / name).stat()
    seen = there.st_mode & 0o7777, os.getxattr(to / name, "user.a"), there.st_mtime_ns
    if seen != (mode, name.encode(), 900_000_000_123_456_789):
        lost.append((name, seen))
if (to / "dir/z").stat().st_ino != (to / "dir/inner/m").stat().st_ino:
    lost.append("no link")
print(lost)
"""


@needs_root
def test_an_ordinary_user_gets_back_what_may_not_be_written_to(program: Path) -> None:
    home = Path(tempfile.mkdtemp(prefix="user-"))
    try:
        os.chown(home, 65534, 65534)
        words = [sys.executable, "-c", AS_A_USER, str(home), str(program), str(T1)]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


@needs_root
@pytest.mark.parametrize("existing", ["replace", "resume"])
def test_immutable_files_are_replaced(
    source: Path, destination: Path, backup: Backup, restore: Restore, existing: str
) -> None:
    immutable = inode_flags.of_letters(b"i")

    def change(path: Path, flags: int) -> None:
        with open(path, "rb") as file:
            inode_flags.change(file.fileno(), flags)

    try:
        change(source / "hello", immutable)
    except OSError:
        pytest.skip("this file system has no immutable files")
    places = [path / name for path in (source, destination) for name in ("hello", "dir/data")]
    try:
        backup(metadata=True)
        restore()
        assert restore(existing=existing).lost == ()
        with open(destination / "hello", "rb") as file:
            assert inode_flags.get(file.fileno()) & immutable
    finally:
        for path in places:
            with suppress(OSError):
                change(path, 0)
