"""A backup with stock duplicity: the files that it makes, and what it tells."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from cya import clock
from cya.engine.duplicity import Duplicity
from cya.engine.protocol import BackupJob, Encryption, Progress
from cya.errors import ClockError, ConfigError, EngineError, IntegrityError
from tests.engine.conftest import PLAIN, SECRET, T1, T2, T3, Backup, Restore, tree


def names(target: Path) -> list[str]:
    return sorted(os.listdir(target))


def test_full_and_increment_carry_exactly_the_time_of_the_job(backup: Backup, target: Path, source: Path) -> None:
    first = backup(T1, SECRET)
    assert (first.kind, first.start, first.end, first.lost) == ("full", None, T1, ())
    assert names(target) == [
        "duplicity-full-signatures.20010909T014640Z.sigtar.gpg",
        "duplicity-full.20010909T014640Z.manifest.gpg",
        "duplicity-full.20010909T014640Z.vol1.difftar.gpg",
    ]
    (source / "hello").write_bytes(b"changed")
    second = backup(T2, SECRET)
    assert (second.kind, second.start, second.end) == ("inc", T1, T2)
    assert "duplicity-inc.20010909T014640Z.to.20010909T014820Z.manifest.gpg" in names(target)
    assert second.statistics["ChangedFiles"] >= 1
    assert second.statistics["SourceFiles"] == first.statistics["SourceFiles"] == 8
    assert first.statistics.keys() == {
        *("StartTime", "EndTime", "ElapsedTime", "SourceFiles", "SourceFileSize", "NewFiles", "NewFileSize"),
        *("DeletedFiles", "ChangedFiles", "ChangedFileSize", "ChangedDeltaSize", "DeltaEntries", "RawDeltaSize"),
        *("TotalDestinationSizeChange", "Errors"),
    }


def test_without_encryption_the_files_are_gz(backup: Backup, target: Path) -> None:
    backup(T1, PLAIN)
    assert "duplicity-full.20010909T014640Z.vol1.difftar.gz" in names(target)
    assert "duplicity-full.20010909T014640Z.manifest" in names(target)


def test_a_served_chain_without_volumes_is_continued(
    backup: Backup, restore: Restore, target: Path, tmp_path: Path, source: Path, destination: Path
) -> None:
    backup(T1, PLAIN)
    volume = next(target.glob("*difftar*"))
    volume.rename(tmp_path / volume.name)
    (source / "new").write_bytes(b"new")
    assert backup(T2, PLAIN).kind == "inc"
    (tmp_path / volume.name).rename(volume)
    restore(T2)
    assert tree(destination) == tree(source)


def test_a_lost_cache_is_fetched_again(
    engine: Duplicity, backup: Backup, program: Path, tmp_path: Path, source: Path, target: Path, gnupg_home: Path
) -> None:
    backup(T1, SECRET)
    other = Duplicity(program, tmp_path / "other", gnupg_home)
    assert other.backup(BackupJob(source, target, T2, SECRET)).kind == "inc"


def test_full_on_top_of_a_chain(backup: Backup) -> None:
    backup(T1)
    report = backup(T2, full=True)
    assert (report.kind, report.start) == ("full", None)


def test_a_dry_run_counts_and_writes_nothing(backup: Backup, target: Path) -> None:
    report = backup(T1, dry_run=True)
    assert (report.kind, report.statistics["NewFiles"]) == ("full", 8)
    assert names(target) == []


def test_volume_size_is_in_mib(backup: Backup, source: Path, target: Path) -> None:
    (source / "noise").write_bytes(os.urandom(3 << 20))
    backup(T1, volume_size=1)
    sizes = [path.stat().st_size for path in target.glob("*difftar*")]
    assert len(sizes) in (3, 4)
    assert max(sizes) < 1.5 * (1 << 20)


def test_progress_tells_bytes_that_only_grow(engine: Duplicity, source: Path, target: Path) -> None:
    (source / "noise").write_bytes(os.urandom(16 << 20))
    seen: list[Progress] = []
    engine.backup(BackupJob(source, target, T1, SECRET, volume_size=1), seen.append)
    done = [progress.done for progress in seen]
    assert done
    assert done == sorted(done)
    assert done[-1] <= 18 << 20


@pytest.mark.parametrize(
    "name", ["a b", "50%25", "1+1", "c:d", "?#;&=@", "ü\u2028", "[x]*", "it's", "back\\slash", b"\xff\xfe"]
)
def test_any_path_of_source_and_target(engine: Duplicity, tmp_path: Path, name: str | bytes) -> None:
    base = tmp_path / os.fsdecode(name)
    source, target = base / "source", base / "target"
    source.mkdir(parents=True)
    target.mkdir()
    (source / "file").write_text("content")
    engine.backup(BackupJob(source, target, T1, PLAIN))
    assert len(os.listdir(target)) == 3
    assert [entry.path for entry in engine.entries(target, T1, PLAIN)] == [b".", b"file"]


def test_a_path_that_duplicity_would_expand_is_refused(engine: Duplicity, tmp_path: Path, source: Path) -> None:
    bad = tmp_path / "$HOME"
    bad.mkdir()
    with pytest.raises(EngineError, match=r"\$HOME in it by the environment variable HOME; rename the directory"):
        engine.backup(BackupJob(bad, source, T1, PLAIN))


def test_a_missing_target_is_never_made(engine: Duplicity, source: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="target does not exist"):
        engine.backup(BackupJob(source, tmp_path / "gone", T1, PLAIN))
    assert not (tmp_path / "gone").exists()


def test_a_source_that_is_missing_or_a_file_is_named(engine: Duplicity, source: Path, target: Path) -> None:
    with pytest.raises(EngineError, match="gone: the source does not exist"):
        engine.backup(BackupJob(source / "gone", target, T1, PLAIN))
    with pytest.raises(EngineError, match="hello: the source is not a directory"):
        engine.backup(BackupJob(source / "hello", target, T1, PLAIN))


@pytest.mark.parametrize("now", [T1, T1 - 1])
def test_a_clock_that_is_not_later_is_refused_before_anything_runs(backup: Backup, target: Path, now: int) -> None:
    backup(T1)
    before = names(target)
    told = f"stands at {clock.local(now)}, and the last backup is of {clock.local(T1)}; set the clock"
    with pytest.raises(ClockError, match=re.escape(told)):
        backup(now)
    assert names(target) == before


def test_the_last_second_of_duplicity(backup: Backup) -> None:
    for now in (0, 4_102_444_800):
        with pytest.raises(ClockError, match="of the years 1970 to 2099 only"):
            backup(now)
    assert backup(4_102_444_799).kind == "full"


def replaced(target: Path) -> None:
    target.rename(target.with_name("taken"))
    target.mkdir()


def removed(target: Path) -> None:
    shutil.rmtree(target)


def emptied(target: Path) -> None:
    for path in target.glob("duplicity-full*"):
        path.unlink()


@pytest.mark.parametrize("change", [replaced, removed, emptied])
def test_a_target_that_somebody_changes_meanwhile(
    program: Path, source: Path, target: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    Duplicity(program, tmp_path / "cache").backup(BackupJob(source, target, T1, PLAIN))
    (source / "noise").write_bytes(os.urandom(12 << 20))
    changed = False

    def watch(_: Progress) -> None:
        nonlocal changed
        if not changed:
            changed = True
            change(target)

    job = BackupJob(source, target, T2, PLAIN, volume_size=1)
    with pytest.raises(EngineError, match="was changed by somebody else while the backup ran; run again"):
        Duplicity(program, tmp_path / "cache").backup(job, watch)
    assert changed
    assert not [path for path in target.glob("*") if "inc" in path.name]


def test_a_served_chain_that_is_not_whole_is_refused(backup: Backup, target: Path) -> None:
    backup(T1)
    next(target.glob("*sigtar*")).unlink()
    with pytest.raises(IntegrityError, match="missing: duplicity-full-signatures"):
        backup(T2)


def test_a_wrong_passphrase_leaves_no_increment(backup: Backup, target: Path) -> None:
    backup(T1, SECRET)
    before = names(target)
    with pytest.raises(EngineError, match="cannot be decrypted"):
        backup(T2, Encryption(passphrase="wrong"))
    assert names(target) == before
    assert backup(T3, SECRET).start == T1


@pytest.mark.parametrize("encryption", [Encryption(passphrase=""), Encryption(passphrase="a\nb")])
def test_a_passphrase_that_cannot_work_is_refused(backup: Backup, encryption: Encryption) -> None:
    with pytest.raises(ConfigError, match="passphrase"):
        backup(T1, encryption)


def test_sockets_are_not_lost(backup: Backup, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert backup(T1).lost == ()


def test_another_host_or_source_continues_the_chain(
    engine: Duplicity, source: Path, target: Path, tmp_path: Path
) -> None:
    engine.backup(BackupJob(source, target, T1, PLAIN))
    moved = tmp_path / "snapshot"
    source.rename(moved)
    assert engine.backup(BackupJob(moved, target, T2, PLAIN)).kind == "inc"


def test_nothing_is_left_in_the_temporary_directory(backup: Backup, tmp_path: Path) -> None:
    backup(T1, patterns=("- **/x",))
    cache = tmp_path / "cache"
    assert os.listdir(cache / "tmp") == []
    assert {path.stat().st_mode & 0o777 for path in (cache, cache / "tmp", cache / "archive-dir")} == {0o700}
