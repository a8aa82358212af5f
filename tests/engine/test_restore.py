"""A restore with stock duplicity and with the native engine: what comes back, and where it goes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cya.engine import placing, scratch
from cya.engine.native import making
from cya.engine.protocol import BackupJob, Engine, Progress, RestoreJob
from cya.engine.registry import engine_named
from cya.errors import EngineError, NotInBackup
from tests import stock
from tests.engine.conftest import PLAIN, SECRET, T1, T2, Backup, Restore, needs_root, tree


@pytest.fixture(params=list(stock.MAKERS))
def engine(request: pytest.FixtureRequest, tmp_path: Path, gnupg_home: Path) -> Engine:
    version, name = stock.MAKERS[request.param]
    return engine_named(name, tmp_path / "cache", gnupg_home, str(stock.program(version)))


def test_each_backup_comes_back_as_it_was(backup: Backup, restore: Restore, source: Path, tmp_path: Path) -> None:
    backup(T1, SECRET)
    first = tree(source)
    (source / "dir" / "data").write_bytes(bytes(range(256)) * 999 + b"tail")
    (source / "hello").unlink()
    backup(T2, SECRET)
    for time, expected in ((T1, first), (T2, tree(source))):
        destination = tmp_path / str(time)
        destination.mkdir()
        assert restore(time, SECRET, destination=destination).lost == ()
        assert tree(destination) == expected


@needs_root
def test_devices_and_owners_come_back(backup: Backup, restore: Restore, source: Path, destination: Path) -> None:
    os.mknod(source / "null", 0o20666, os.makedev(1, 3))
    os.chown(source / "hello", 12345, 54321)
    backup(T1)
    restore(T1, numeric_owner=True)
    assert tree(destination) == tree(source)


def test_one_path_comes_to_its_place_with_its_parents(
    backup: Backup, restore: Restore, source: Path, destination: Path
) -> None:
    backup(T1)
    restore(T1, paths=(Path("dir/deep"),))
    assert tree(destination / "dir/deep") == tree(source / "dir/deep")
    restore(T1, paths=(Path("hello"),))
    assert sorted(os.listdir(destination)) == ["dir", "hello"]
    assert tree(destination)["hello"] == tree(source)["hello"]


def test_a_path_with_special_characters(backup: Backup, restore: Restore, source: Path, destination: Path) -> None:
    odd = source / os.fsdecode(b"-a b\n\xff'[*]%41")
    odd.write_bytes(b"odd")
    backup(T1)
    restore(T1, paths=(odd.relative_to(source),))
    assert (destination / odd.name).read_bytes() == b"odd"


def test_a_path_that_the_backup_lacks(backup: Backup, restore: Restore, destination: Path) -> None:
    backup(T1)
    with pytest.raises(NotInBackup, match=r"no/such: .*paths are relative to the source"):
        restore(T1, paths=(Path("no/such"),))
    assert os.listdir(destination) == []


def test_a_time_without_backup(backup: Backup, restore: Restore) -> None:
    backup(T1)
    with pytest.raises(NotInBackup, match=r"no backup of 2001-09-09T01:48:20Z; the last is of 2001-09-09T01:46:40Z"):
        restore(T2)


@pytest.mark.parametrize("path", ["../x", "/etc", "."])
def test_a_path_that_leads_out_is_refused(backup: Backup, restore: Restore, path: str) -> None:
    backup(T1)
    with pytest.raises(EngineError, match="relative"):
        restore(T1, paths=(Path(path),))


def test_what_is_there_is_overwritten_by_force_only(
    backup: Backup, restore: Restore, source: Path, destination: Path
) -> None:
    backup(T1)
    (destination / "hello").mkdir()
    (destination / "link").write_text("mine")
    (destination / "dir").symlink_to("/nonexistent")
    (destination / "mine").write_text("stays")
    with pytest.raises(EngineError, match="overwrite"):
        restore(T1)
    restore(T1, existing="replace")
    found = tree(destination)
    assert found.pop("mine")[1] == b"stays"
    assert found == tree(source)


@pytest.mark.parametrize("paths", [(), (Path("hello"),)])
def test_a_directory_with_something_in_it_never_makes_way_for_a_file(
    engine: Engine, backup: Backup, restore: Restore, destination: Path, paths: tuple[Path, ...]
) -> None:
    backup(T1)
    (destination / "hello").mkdir()
    (destination / "hello" / "mine").touch()
    before = tree(destination)
    before.pop(".")
    if engine.restores_damaged:  # it restores all else
        (lost,) = restore(T1, paths=paths, existing="replace").lost
        assert (lost.path, lost.reason) == ("hello", "is a directory here, with something in it")
        assert (destination / "hello" / "mine").exists()
        return
    with pytest.raises(EngineError, match=f"{destination}/hello: is a directory with something in it"):
        restore(T1, paths=paths, existing="replace")
    after = tree(destination)
    after.pop(".")
    assert after == before


@pytest.mark.parametrize("paths", [(), (Path("dir/data"),)])
def test_a_destination_that_is_a_link_stays_one(
    backup: Backup, restore: Restore, source: Path, destination: Path, tmp_path: Path, paths: tuple[Path, ...]
) -> None:
    backup(T1)
    (destination / "hello").write_text("mine")
    link = tmp_path / "dest link"
    link.symlink_to("destination")
    restore(T1, destination=link, paths=paths, existing="replace")
    assert os.readlink(link) == "destination"
    assert tree(destination)["dir/data"] == tree(source)["dir/data"]
    assert not list(destination.glob(".cya-*"))


def test_a_link_in_the_destination_leads_nowhere(
    backup: Backup, restore: Restore, source: Path, destination: Path, tmp_path: Path
) -> None:
    backup(T1)
    victim = tmp_path / "victim"
    victim.mkdir()
    (destination / "dir").symlink_to(victim)
    for path in ("dir/data", "dir/deep/empty"):
        with pytest.raises(EngineError, match=f"{destination}/dir: is a symbolic link; .*remove the link"):
            restore(T1, paths=(Path(path),), existing="replace")
    assert os.listdir(victim) == []
    assert os.listdir(destination) == ["dir"]
    restore(T1, paths=(Path("dir"),), existing="replace")
    assert tree(destination / "dir") == tree(source / "dir")
    assert os.listdir(victim) == []


def test_a_file_on_the_way_is_named(backup: Backup, restore: Restore, destination: Path) -> None:
    backup(T1)
    (destination / "dir").touch()
    with pytest.raises(EngineError, match=f"{destination}/dir: is not a directory"):
        restore(T1, paths=(Path("dir/data"),), existing="replace")


def test_a_root_and_directories_without_write_permission(
    backup: Backup, restore: Restore, source: Path, destination: Path
) -> None:
    (source / "dir").chmod(0o500)
    source.chmod(0o500)
    backup(T1)
    (destination / "hello").write_text("mine")
    restore(T1, existing="replace")
    assert tree(destination) == tree(source)


def test_a_destination_that_cannot_be_written_to_is_refused(
    backup: Backup, restore: Restore, source: Path, destination: Path
) -> None:
    backup(T1)
    if os.geteuid() == 0:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", destination], check=False)
        if made.returncode:
            pytest.skip("cannot mount here")
    else:
        destination.chmod(0o500)
    try:
        with pytest.raises(EngineError, match=f"{destination}: the destination cannot be written to"):
            restore(T1)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", destination], check=True)


def test_what_a_killed_restore_left_is_removed_and_what_is_in_use_stays(
    backup: Backup, restore: Restore, source: Path, destination: Path, tmp_path: Path
) -> None:
    backup(T1)
    cache = tmp_path / "cache" / "tmp"
    stale = [destination / ".cya-restore-abcd_123", cache / "restore-abcd_123"]
    for path in stale:
        (path / "all").mkdir(parents=True)
        (path / "all" / "plaintext").touch(mode=0)
    (tmp_path / "elsewhere").mkdir()
    (destination / ".cya-restore-link_123").symlink_to(tmp_path / "elsewhere")
    (destination / ".cya-restore-notes").mkdir()
    with scratch.held(destination, placing.PREFIX) as used, scratch.held(cache, "restore-") as also_used:
        restore(T1, paths=(Path("hello"),))
        assert not any(path.exists() for path in stale)
        backup(T2)
        assert used.exists()
        assert also_used.exists()
    assert sorted(os.listdir(destination)) == [".cya-restore-link_123", ".cya-restore-notes", "hello"]
    assert os.listdir(cache) == []


def test_only_what_a_killed_restore_left_is_not_in_the_way(
    backup: Backup, restore: Restore, source: Path, destination: Path
) -> None:
    backup(T1)
    (destination / ".cya-restore-abcd_123").mkdir()
    restore(T1)
    assert tree(destination) == tree(source)


def test_reading_does_not_wait_for_a_backup_and_is_not_harmed_by_it(
    engine: Engine,
    backup: Backup,
    restore: Restore,
    source: Path,
    target: Path,
    destination: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(making, "_TICK", 0)
    backup(T1)
    first = tree(source)
    (source / "noise").write_bytes(os.urandom(8 << 20))
    other = tmp_path / "other"
    shutil.copytree(target, other)
    listing = engine.entries(other, T1, PLAIN)
    assert next(listing).path == b"."
    read = 0

    def meanwhile(_: Progress) -> None:
        nonlocal read
        if not read:
            restore(T1, source=other)
            read = len(list(engine.entries(other, T1, PLAIN)))

    engine.backup(BackupJob(source, target, T2, PLAIN, volume_size=1), meanwhile)
    assert read == 8
    assert tree(destination) == first
    assert len(list(listing)) == 7
    assert os.listdir(tmp_path / "cache" / "tmp") == []


def test_a_failed_restore_over_something_overwrites_nothing(
    backup: Backup, restore: Restore, destination: Path
) -> None:
    backup(T1, SECRET)
    (destination / "hello").write_text("mine")
    with pytest.raises(EngineError):
        restore(T1, PLAIN, existing="replace")
    assert os.listdir(destination) == ["hello"]
    assert (destination / "hello").read_text() == "mine"


def test_a_directory_of_links_without_sigtars_is_enough(
    engine: Engine, backup: Backup, source: Path, target: Path, destination: Path, tmp_path: Path
) -> None:
    backup(T1, SECRET)
    links = tmp_path / "links"
    links.mkdir()
    for path in target.iterdir():
        if "sigtar" not in path.name:
            (links / path.name).symlink_to(path)
    engine.restore(RestoreJob(links, destination, T1, SECRET))
    assert tree(destination) == tree(source)


def test_progress_counts_volumes(engine: Engine, backup: Backup, source: Path, target: Path, destination: Path) -> None:
    (source / "noise").write_bytes(os.urandom(2 << 20))
    backup(T1, volume_size=1)
    seen: list[Progress] = []
    engine.restore(RestoreJob(target, destination, T1, PLAIN), seen.append)
    assert seen[-1].unit == ("bytes" if engine.name == "native" else "volumes")
    assert seen[-1].done == seen[-1].total >= 2


def test_the_cache_of_backups_is_untouched(backup: Backup, restore: Restore, tmp_path: Path) -> None:
    backup(T1)
    before = tree(tmp_path / "cache" / "archive-dir")
    restore(T1)
    assert tree(tmp_path / "cache" / "archive-dir") == before
