"""Where hard links will not do: copies, whole and checked, with the same tree as result."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from cya.archive.check.run import check
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.archive.status import status
from cya.config.archive import parse_age
from cya.config.root import RootConfig
from cya.errors import ArchiveError, IntegrityError
from tests.archive.conftest import Site, at, digest
from tests.archive.test_kill_at_every_step import killed_at
from tests.mounts import loop_mounted

DAYS = ("2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts a file system")


def contents(site: Site) -> list[tuple[str, str, int]]:
    return [
        (str(path.relative_to(site.root)), digest(path), path.stat().st_mode)
        for path in sorted(site.root.glob("backups/**/*"))
        if path.is_file()
    ]


def made(root: Path, **settings: Any) -> Site:
    init_archive(root, RootConfig(**settings))
    return Site(root)


@pytest.fixture
def linked(tmp_path: Path) -> Site:
    site = made(tmp_path / "linked" / "web1")
    for day in DAYS:
        assert len(site.day(day, volumes=2).committed) == 1
    return site


def test_a_tree_that_is_committed_by_copy_holds_the_same(linked: Site, tmp_path: Path) -> None:
    site = made(tmp_path / "web1", commit="copy")
    for day in DAYS:
        site.collect(day)
        uploaded = {(site.next / name).stat().st_ino for name in site.upload(day, volumes=2)}
        assert len(site.collect(day).committed) == 1
        assert not uploaded & {path.stat().st_ino for path in site.root.glob("backups/**/*")}
    assert contents(site) == contents(linked)
    assert not check(site.root, at(DAYS[-1])).findings


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOSPC])
def test_a_link_that_the_file_system_refuses_becomes_a_copy(
    linked: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Every second link fails, as when the number of links to one file is small."""
    real, count = os.link, 0

    def link(*args: Any, **kwargs: Any) -> None:
        nonlocal count
        count += 1
        if count % 2:
            raise OSError(number, os.strerror(number))
        real(*args, **kwargs)

    monkeypatch.setattr(os, "link", link)
    site = made(tmp_path / "web1")
    for day in DAYS:
        assert len(site.day(day, volumes=2).committed) == 1
    assert contents(site) == contents(linked)
    assert not [finding for finding in check(site.root, at(DAYS[-1])).findings if finding.damage]


def test_a_commit_by_copies_alone_killed_at_every_step_ends_the_same(tmp_path: Path) -> None:
    """Neither links nor leases: each step of copying can be stopped."""

    def work(root: Path) -> Callable[[], object]:
        def run() -> None:
            def link(*_: Any, **__: Any) -> None:
                raise OSError(errno.EPERM, "no hard links here")

            os.link = link
            collect(root, at("2012-12-09"))

        return run

    undisturbed: list[tuple[str, str, int]] | None = None
    for step in range(1, 1000):
        site = made(tmp_path / str(step) / "web1", commit="copy")
        site.day("2012-12-04", volumes=2)
        site.collect("2012-12-09")
        site.upload("2012-12-09", volumes=2)
        was_killed = killed_at(step, work(site.root))
        site.collect("2012-12-09")
        undisturbed = undisturbed or contents(site)
        assert contents(site) == undisturbed, f"killed at step {step}"
        assert sorted(path.name for path in site.state.iterdir()) == ["ledger", "lock", "log", "served.json"]
        if not was_killed:
            assert step > 40
            return
    raise AssertionError("the run never ended")


def test_another_file_of_that_name_is_never_overwritten(site: Site) -> None:
    site.day("2012-12-04")
    (name, *_) = (path.name for path in site.root.glob("backups/2000/files/*vol1*"))
    site.collect("2012-12-09")
    place = site.root / "backups/2000/2010/2012/2012-12/2012-12-09/files"
    place.mkdir(parents=True)
    (place / name).write_text("something else")
    site.upload("2012-12-09")
    with pytest.raises(IntegrityError, match="another file"):
        site.collect("2012-12-09")
    assert (place / name).read_text() == "something else"
    (place / name).unlink()
    assert len(site.collect("2012-12-09").committed) == 1


def test_a_file_system_without_leases_is_copied_from(
    linked: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fcntl(fd: int, command: int, argument: int = 0) -> int:
        raise OSError(errno.EINVAL, "no leases here")

    monkeypatch.setattr("cya.durable.fcntl.fcntl", fcntl)
    site = made(tmp_path / "web1")
    for day in DAYS:
        assert len(site.day(day, volumes=2).committed) == 1
    assert contents(site) == contents(linked)


@needs_root
def test_an_incoming_on_a_file_system_of_its_own(linked: Site, tmp_path: Path) -> None:
    site = made(tmp_path / "web1")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", site.root / "incoming"], check=False)
    if mounted.returncode != 0:
        pytest.skip("no mounts here")
    try:
        for day in DAYS[:-1]:
            assert len(site.day(day, volumes=2).committed) == 1
        names = site.upload(DAYS[-1], volumes=2)
        (site.next / names[0]).write_text("not what was announced")
        assert site.collect(DAYS[-1]).refused
        found = status(site.root, at(DAYS[-1]), parse_age("2D"))
        assert found.quarantines == 1
        assert len(site.day(DAYS[-1], volumes=2).committed) == 1
        assert contents(site) == contents(linked)
        assert (site.root / "incoming/.intake").stat().st_mode & 0o777 == 0o700
        os.chown(site.root / "incoming", 65534, 65534)
        with pytest.raises(ArchiveError, match="not the archive's alone"):
            site.collect(DAYS[-1])
    finally:
        subprocess.run(["umount", "--lazy", site.root / "incoming"], check=True)


def taken_up_by_a_commit(site: Site) -> int:
    """Commit a volume of 40 MiB; return how many bytes of the file system that took."""
    site.collect("2012-12-04")
    names = site.write("2012-12-04")
    (site.next / names[0]).write_bytes(os.urandom(40 << 20))
    site.finish(names)
    os.sync()
    before = os.statvfs(site.root)
    assert len(site.collect("2012-12-04").committed) == 1
    os.sync()
    after = os.statvfs(site.root)
    return (before.f_bavail - after.f_bavail) * before.f_frsize


@needs_root
@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_copy_shares_its_blocks_where_the_file_system_can(tmp_path: Path, kind: str) -> None:
    with loop_mounted(tmp_path / "disk", 400, f"mkfs.{kind}", "-q") as disk:
        assert taken_up_by_a_commit(made(disk / "web1", commit="copy")) < 20 << 20


@needs_root
def test_an_incoming_in_a_btrfs_subvolume_with_a_limit_of_its_own(tmp_path: Path) -> None:
    """How a client's uploads are limited on btrfs. Neither links nor renames go from one subvolume to another."""
    with loop_mounted(tmp_path / "disk", 400, "mkfs.btrfs", "-q") as disk:
        (disk / "web1").mkdir()
        incoming = disk / "web1/incoming"
        subprocess.run(["btrfs", "-q", "subvolume", "create", incoming], check=True)
        subprocess.run(["btrfs", "quota", "enable", disk], check=True)
        subprocess.run(["btrfs", "qgroup", "limit", "60M", incoming], check=True)
        init_archive(disk / "web1", RootConfig())
        site = Site(disk / "web1")
        assert taken_up_by_a_commit(site) < 20 << 20
        assert len(site.day("2012-12-05").committed) == 1
        assert not list((incoming / ".intake").iterdir())
        with (site.next / "junk").open("wb", buffering=0) as junk, pytest.raises(OSError, match="quota"):
            fill(junk, 80)
        (site.next / "junk").unlink()
        assert len(site.day("2012-12-06").committed) == 1


def fill(file: IO[bytes], megabytes: int) -> None:
    for _ in range(megabytes):
        file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
