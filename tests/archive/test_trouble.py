"""Trouble that administrators, disks and clients make for a root: each has a way out, and nothing committed is lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cya import catalog
from cya.archive.adopt import is_2012
from cya.archive.collect import collect, collect_all
from cya.archive.copying import copy as real_copy
from cya.archive.init import init_archive
from cya.archive.link import link as real_link
from cya.archive.state import State
from cya.config.root import RootConfig
from cya.errors import ArchiveError
from tests.archive.archive_of_2012 import Root2012
from tests.archive.conftest import Site, at
from tests.archive.test_kill_at_every_step import killed_at
from tests.standin import write_increment

WEEK = "backups/2000/2010/2012/2012-12/2012-12-02"
MONTH = "backups/2000/2010/2012/2012-12"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def disk_full_while_linking(site: Site, now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring a root to PLANNED, with the first links made."""

    def link(*_: object) -> None:
        real_link(*_)  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cya.archive.carry_out.link", link)
        with pytest.raises(ArchiveError, match="file system is full"):
            site.collect(now)
    assert (site.state / "plan.json").exists()


@pytest.mark.parametrize("deleted", [WEEK, MONTH, "backups/2000"])
@pytest.mark.parametrize("day", ["2012-12-06", "2012-12-10"])
def test_a_chain_deleted_in_the_middle_of_a_commit_takes_the_plan_back(
    site: Site, monkeypatch: pytest.MonkeyPatch, deleted: str, day: str
) -> None:
    """The disk fills while linking, and the administrator deletes just what the increment stands on."""
    site.day("2012-12-04")
    site.day("2012-12-05")
    site.collect(day)
    site.upload(day)
    disk_full_while_linking(site, day, monkeypatch)
    shutil.rmtree(site.root / deleted)
    done = site.collect(day)
    assert done.state is State.SERVED
    assert all(backup.chain is not None for backup in site.catalog.backups)
    assert bool(done.refused) != bool(done.committed)
    site.day("2012-12-11")
    assert all(backup.chain is not None for backup in site.catalog.backups)


def deep(place: Path) -> None:
    """1500 directories, one in the other."""
    os.mkdir(place)
    fd = os.open(place, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir(".d", dir_fd=fd)
        inner = os.open(".d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(deep, id="1500 nested directories"),
        pytest.param(lambda place: os.mkfifo(place), id="a FIFO"),
        pytest.param(lambda place: os.symlink("/etc", place), id="a link"),
    ],
)
@pytest.mark.parametrize("name", [".d", "FINISHED", "x"])
def test_odd_things_in_an_upload_wedge_nothing(site: Site, make: Callable[[Path], None], name: str) -> None:
    site.day("2012-12-04")
    site.write("2012-12-05")
    make(site.next / name)
    held = os.open(site.next / name, os.O_RDWR) if (site.next / name).is_fifo() else None
    if name != "FINISHED":
        site.finish([p.name for p in site.next.iterdir() if "20121205" in p.name])
    other = site.root.parent / "web2"
    init_archive(other, RootConfig())
    done, fine = collect_all([site.root, other], at("2012-12-05"))
    if held is not None:
        os.close(held)
    assert done.error is None
    assert (fine.state, done.state) == (State.SERVED, State.SERVED)
    site.upload("2012-12-06")
    assert len(site.collect("2012-12-06").committed) == 1
    subprocess.run(["rm", "-rf", site.root], check=True)  # Python's own rmtree gives up at that depth


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc"), lambda p: p.write_text("x")])
def test_a_finished_that_is_no_directory_is_put_aside(tmp_path: Path, make: Callable[[Path], object]) -> None:
    init_archive(tmp_path / "web1", RootConfig(handover="rename"))
    site = Site(tmp_path / "web1")
    site.collect("2012-12-04")
    make(site.root / "incoming/finished")
    assert "not a directory" in site.collect("2012-12-04").refused[0]
    assert site.collect("2012-12-04").state is State.SERVED


def test_empty_files_are_refused_whatever_the_client_says(tmp_path: Path) -> None:
    """After a power cut on the client's side files may be there and hold nothing."""
    init_archive(tmp_path / "web1", RootConfig(handover="rename"))
    site = Site(tmp_path / "web1")
    site.collect("2012-12-04")
    for name in site.write("2012-12-04"):
        (site.next / name).write_bytes(b"")
    site.next.rename(site.root / "incoming/finished")
    assert "is empty" in site.collect("2012-12-04").refused[0]


def test_a_root_that_was_copied_is_served_anew(site: Site, tmp_path: Path) -> None:
    """Its inodes are others; what was served is not known any more, and the client must not lose a backup by that."""
    site.day("2012-12-04")
    copy = tmp_path / "copy" / "web1"
    shutil.copytree(site.root, copy)
    copied = Site(copy)
    assert copied.collect("2012-12-05").served is not None
    copied.upload("2012-12-05")
    assert len(copied.collect("2012-12-05").committed) == 1


def test_the_archives_clock_before_the_last_serving_refuses_nothing(site: Site) -> None:
    site.day("2012-12-04")
    site.upload("2012-12-05")
    with pytest.raises(ArchiveError, match="clock of the archive stands at 1970"):
        site.collect("1970-01-01")
    assert len(site.collect("2012-12-05").committed) == 1


def test_below_the_reserve_nothing_is_served(tmp_path: Path) -> None:
    init_archive(tmp_path / "web1", RootConfig(reserve=1 << 40))
    with pytest.raises(ArchiveError, match="the reserve is"):
        collect(tmp_path / "web1", at("2012-12-04"))


@needs_root
def test_another_uploader_is_served_at_once(site: Site) -> None:
    site.collect("2012-12-04")
    settings = site.root / "cya.toml"
    settings.write_text(settings.read_text() + '\nuser = "nobody"\n')
    assert site.collect("2012-12-04").served is not None
    assert site.next.stat().st_uid == 65534


@pytest.mark.parametrize("gone", ["state", "incoming", "outgoing"])
def test_a_root_that_lost_a_directory_is_made_whole(site: Site, gone: str) -> None:
    for day in ("2012-12-04", "2012-12-05"):
        site.day(day)
    settings = site.root / "cya.toml"
    settings.write_text(settings.read_text().replace('"sunday"', '"monday"'))
    shutil.rmtree(site.root / gone)
    if gone != "outgoing":
        with pytest.raises(ArchiveError, match="make the root whole again: cya init-archive"):
            site.collect("2012-12-06")
    init_archive(site.root, RootConfig())
    assert '"monday"' in settings.read_text()
    site.day("2012-12-06")
    assert len(site.catalog.backups) == 3


def test_making_a_root_killed_at_every_step_can_be_run_again(tmp_path: Path) -> None:
    for step in range(1, 100):
        root = tmp_path / f"web{step}"
        was_killed = killed_at(step, lambda: init_archive(root, RootConfig(week_start="monday")))  # noqa: B023
        init_archive(root, RootConfig(week_start="monday"))
        assert collect(root, at("2012-12-04")).state is State.SERVED
        if not was_killed:
            assert step > 10
            return
    raise AssertionError("the run never ended")


def test_a_root_with_other_settings_is_never_overwritten(site: Site) -> None:
    with pytest.raises(ArchiveError, match="already, with other settings"):
        init_archive(site.root, RootConfig(levels=("year", "month", "week")))
    assert "century" in (site.root / "cya.toml").read_text()


@needs_root
@pytest.mark.parametrize("make", [lambda root: root.mkdir(), lambda root: Root2012(root).collect("2012-12-04")])
def test_root_spoils_no_root_of_an_ordinary_user(tmp_path: Path, make: Callable[[Path], object]) -> None:
    root = tmp_path / "web1"
    make(root)
    for path in (root, *root.rglob("*")):
        os.chown(path, 65534, 65534)
    before = sorted(root.rglob("*"))
    with pytest.raises(ArchiveError, match="belongs to the user nobody"):
        collect(root, at("2012-12-04")) if is_2012(root) else init_archive(root, RootConfig())
    assert sorted(root.rglob("*")) == before


def test_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    init_archive(tmp_path / "link", RootConfig())
    assert collect(tmp_path / "link", at("2012-12-04")).state is State.SERVED


def test_an_upload_taken_back_and_killed_is_kept(site: Site) -> None:
    """What nobody knows to have been served may be an upload, and is never just removed."""
    site.day("2012-12-04")
    site.upload("2012-12-05")
    (site.next / "FINISHED").unlink()
    (site.state / "served.json").unlink()
    site.next.rename(site.state / "withdrawn")
    site.collect("2012-12-05")
    assert list(site.state.glob("quarantine/*/files/*20121205*"))


def test_a_half_linked_backup_is_not_listed_as_damaged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.day("2012-12-04")
    site.upload("2012-12-05", volumes=3)
    disk_full_while_linking(site, "2012-12-05", monkeypatch)
    assert [backup.missing for backup in site.catalog.backups] == [None]


def test_a_chain_that_bites_its_tail_ends(tmp_path: Path) -> None:
    write_increment(tmp_path, 200, 100)
    write_increment(tmp_path, 100, 200)
    assert all(backup.chain is None for backup in catalog.read(tmp_path).backups)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: None, lambda p: p.symlink_to(p.name)])
def test_what_is_no_archive_is_not_an_empty_one(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "web1")
    with pytest.raises(ArchiveError):
        catalog.read(tmp_path / "web1")


def test_each_file_is_on_the_disk_before_the_commit_point(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents, names, and the names of new directories: after a power cut the file system may keep only the rename."""
    site.day("2012-12-04")
    site.collect("2012-12-09")
    names = site.upload("2012-12-09", volumes=2)
    synced: list[str] = []
    at_commit_point: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real_fsync(fd)

    def rename(source: str, destination: str, **where: int) -> None:
        if destination == "committed.json":
            at_commit_point.extend(synced)
        real_rename(source, destination, **where)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    site.collect("2012-12-09")
    week = site.root / "backups/2000/2010/2012/2012-12/2012-12-09"
    wanted = [site.state / "batch" / name for name in names]
    wanted += [week / "files", week, week.parent, week.parent / "files", site.state]
    assert {str(path) for path in wanted} <= set(at_commit_point)


@pytest.mark.parametrize("ahead", ["2012-12-05T02:00:00", "2076-01-01"])
def test_a_clock_that_was_ahead_when_it_served_is_no_wedge(site: Site, ahead: str) -> None:
    """The upload was served for a time that is not now: it is refused, and the next is served for now."""
    site.day("2012-12-04")
    (site.state / "served.json").write_text(
        re.sub(r'"time": [0-9]+', f'"time": {int(at(ahead).timestamp())}', (site.state / "served.json").read_text())
    )
    site.upload("2012-12-05")
    assert "clock of the archive was wrong" in site.collect("2012-12-05T00:01:00").refused[0]
    assert len(site.day("2012-12-05T01:00:00").committed) == 1


def test_a_pristine_next_of_a_clock_that_ran_wild_is_served_anew(tmp_path: Path) -> None:
    init_archive(tmp_path / "web1", RootConfig(levels=("year",)))
    site = Site(tmp_path / "web1")
    site.day("2012-03-16")
    site.day("2012-08-20")  # made and served under a clock months ahead
    assert site.collect("2012-03-17").served is not None
    assert [increment.is_full for increment in site.day("2012-03-17").committed] == [True]


def test_a_part_of_the_base_that_is_deleted_in_the_middle_is_no_wedge(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last volume: names alone do not miss it."""
    site.day("2012-12-04", volumes=2)
    site.collect("2012-12-09")
    site.upload("2012-12-09")

    def link(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cya.archive.carry_out.link", link)
        with pytest.raises(ArchiveError, match="file system is full"):
            site.collect("2012-12-09")
    for path in (site.root / MONTH / "files").glob("*vol2*"):
        path.unlink()
    assert site.collect("2012-12-09").state is State.SERVED


def test_copies_that_do_not_fit_do_not_keep_the_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init_archive(tmp_path / "web1", RootConfig(commit="copy"))
    site = Site(tmp_path / "web1")
    site.collect("2012-12-04")
    site.upload("2012-12-04", volumes=3)
    count = 0

    def copy(*arguments: object) -> tuple[int, str]:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(28, "No space left on device")
        return real_copy(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr("cya.archive.copy_in.copy", copy)
        with pytest.raises(ArchiveError, match="file system is full"):
            site.collect("2012-12-04")
    assert not (site.state / "copied").exists()
    assert len(site.collect("2012-12-04").committed) == 1
