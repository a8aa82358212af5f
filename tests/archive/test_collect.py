"""Collecting: states, commits, and what becomes of uploads that are not as they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from cya.archive.collect import collect, collect_all
from cya.archive.state import State
from cya.errors import ArchiveError, Locked
from tests.archive.conftest import Site, at, digest


def periods(site: Site) -> dict[str, int]:
    return {"/".join(d.period): len(d.sets) for d in site.catalog.directories}


def test_a_new_root_is_served_an_empty_next(site: Site) -> None:
    assert site.collect("2012-12-04").state is State.SERVED
    assert list(site.next.iterdir()) == []


def test_the_first_backup_goes_into_every_level(site: Site) -> None:
    done = site.day("2012-12-04")
    assert len(done.committed) == 1
    assert periods(site) == {
        "2000": 1,
        "2000/2010": 1,
        "2000/2010/2012": 1,
        "2000/2010/2012/2012-12": 1,
        "2000/2010/2012/2012-12/2012-12-02": 1,
    }


def test_the_next_day_goes_into_its_week_only(site: Site) -> None:
    site.day("2012-12-04")
    site.day("2012-12-05")
    assert periods(site)["2000/2010/2012/2012-12/2012-12-02"] == 2
    assert periods(site)["2000/2010/2012/2012-12"] == 1


def test_a_new_week_gets_the_months_chain_and_is_complete_on_its_own(site: Site) -> None:
    for day in ("2012-12-04", "2012-12-05", "2012-12-10"):
        site.day(day, volumes=3)
    week = site.catalog["2000", "2010", "2012", "2012-12", "2012-12-09"]
    assert len(week.chains.chains[0]) == 2
    assert all(files.is_complete for files in week.sets.values())
    assert periods(site)["2000/2010/2012/2012-12"] == 2


def test_shared_increments_are_hard_links(site: Site) -> None:
    site.day("2012-12-04")
    inodes = {path.stat().st_ino for path in site.root.glob("backups/**/*.vol1.difftar.gpg")}
    assert len(inodes) == 1


def test_only_sigtars_and_manifests_of_the_chain_are_served(site: Site) -> None:
    site.day("2012-12-04", volumes=2)
    assert sorted(path.name for path in site.next.iterdir()) == [
        "duplicity-full-signatures.20121204T000000Z.sigtar.gpg",
        "duplicity-full.20121204T000000Z.manifest.gpg",
    ]


def test_committed_files_are_frozen(site: Site) -> None:
    site.day("2012-12-04")
    for path in site.root.glob("backups/**/*.gpg"):
        assert path.stat().st_mode & 0o7777 == 0o440
    assert (site.root / "backups").stat().st_mode & 0o7777 == 0o700


def test_an_unfinished_upload_is_left_alone(site: Site) -> None:
    site.collect("2012-12-04")
    site.write("2012-12-04")
    for day in ("2012-12-04", "2012-12-05", "2013-12-05"):
        done = site.collect(day)
        assert (done.state, done.committed, done.refused, done.served) == (State.SERVED, [], [], None)


def test_a_late_upload_lies_where_it_was_served_for(site: Site) -> None:
    site.collect("2012-12-04")
    site.write("2012-12-04")
    site.finish([path.name for path in site.next.iterdir()])
    site.collect("2013-02-11")
    assert "2000/2010/2012/2012-12/2012-12-02" in periods(site)
    assert not any("2013" in period for period in periods(site))


def test_a_pristine_next_of_a_period_that_is_over_is_served_anew(site: Site) -> None:
    site.day("2012-12-04")
    site.day("2012-12-05")
    before = {path.name for path in site.next.iterdir()}
    done = site.collect("2012-12-09")
    assert done.served is not None
    assert done.served.leaf[-1] == "2012-12-09"
    assert {path.name for path in site.next.iterdir()} < before  # the month's chain is shorter than the week's
    site.upload("2012-12-09")
    site.collect("2012-12-09")
    assert periods(site)["2000/2010/2012/2012-12/2012-12-09"] == 2


def test_a_next_that_fits_is_not_served_anew(site: Site) -> None:
    site.collect("2012-12-04")
    inode = site.next.stat().st_ino
    assert site.collect("2012-12-08").served is None
    assert site.next.stat().st_ino == inode


def test_when_the_served_week_is_deleted_another_chain_is_served(site: Site) -> None:
    for day in ("2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10"):
        site.day(day)
    shutil.rmtree(site.root / "backups/2000/2010/2012/2012-12/2012-12-09")
    done = site.collect("2012-12-10")
    assert done.served is not None
    assert done.served.base == ("2000", "2010", "2012", "2012-12")
    site.upload("2012-12-11")
    assert len(site.collect("2012-12-11").committed) == 1
    assert all(backup.chain is not None for backup in site.catalog.backups)


def test_an_upload_on_top_of_a_chain_that_was_deleted_is_refused(site: Site) -> None:
    for day in ("2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10"):
        site.day(day)
    site.upload("2012-12-11")
    shutil.rmtree(site.root / "backups/2000/2010/2012/2012-12/2012-12-09")
    done = site.collect("2012-12-11")
    assert "not in the tree any more" in done.refused[0]
    site.upload("2012-12-12")
    assert len(site.collect("2012-12-12").committed) == 1


def test_a_missing_next_is_served_again(site: Site) -> None:
    site.day("2012-12-04")
    for path in site.next.iterdir():
        path.unlink()
    site.next.rmdir()
    assert site.collect("2012-12-04").served is not None
    assert len(list(site.next.iterdir())) == 2


def test_a_next_that_nobody_served_is_put_aside(site: Site) -> None:
    site.day("2012-12-04")
    (site.state / "served.json").unlink()
    (site.next / "junk").write_text("x")
    site.collect("2012-12-04")
    assert not (site.next / "junk").exists()
    assert [p.name for p in site.state.glob("quarantine/*/files/junk")] == ["junk"]


def test_a_next_that_is_a_file_is_put_aside(site: Site) -> None:
    site.day("2012-12-04")
    for path in site.next.iterdir():
        path.unlink()
    site.next.rmdir()
    site.next.write_text("not a directory")
    assert site.collect("2012-12-04").state is State.SERVED
    assert site.next.is_dir()


def test_a_fresh_full_goes_into_every_level_beside_the_old_chain(site: Site) -> None:
    site.day("2012-12-04")
    site.day("2012-12-05", full=True)
    assert {len(d.chains.chains) for d in site.catalog.directories} == {2}
    site.day("2012-12-06")
    week = site.catalog["2000", "2010", "2012", "2012-12", "2012-12-02"]
    assert [len(chain) for chain in week.chains.chains] == [1, 2]


def test_the_ledger_is_checked_by_sha256sum_itself(site: Site) -> None:
    site.day("2012-12-04", volumes=3)
    (entry,) = (site.state / "ledger").iterdir()
    for files in site.root.glob("backups/**/files"):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", entry], cwd=files, check=True)
    victim = next(site.root.glob("backups/**/*.vol2.*"))
    victim.chmod(0o600)
    victim.write_text("changed")
    assert (
        subprocess.run(["sha256sum", "--check", "--quiet", entry], cwd=victim.parent, capture_output=True).returncode
        == 1
    )


def test_several_roots_are_collected_side_by_side_and_one_error_stops_no_other(site: Site, tmp_path: Path) -> None:
    site.collect("2012-12-04")
    site.upload("2012-12-04")
    missing, good = collect_all([tmp_path / "nothing", site.root], at("2012-12-04"))
    assert "not an archive root" in str(missing.error)
    assert len(good.committed) == 1


def test_two_collects_never_run_at_once_on_a_root(site: Site) -> None:
    from cya.archive.root import open_root

    with open_root(site.root), pytest.raises(Locked, match="another run"):
        site.collect("2012-12-04")


def test_a_missing_root_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"cya init-archive .*/web9"):
        collect(tmp_path / "web9", at("2012-12-04"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_loses_nothing_and_the_next_run_commits(tmp_path: Path) -> None:
    from cya.archive.init import init_archive
    from cya.config.root import RootConfig
    from tests.mounts import small_file_system

    with small_file_system(tmp_path / "disk", megabytes=4) as disk:
        site = Site(disk / "web1")
        init_archive(site.root, RootConfig())
        site.collect("2012-12-04")
        names = site.upload("2012-12-04")
        digests = {name: digest(site.next / name) for name in names}
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(1024)):
                pass
        with pytest.raises(ArchiveError, match="file system is full"):
            site.collect("2012-12-04")
        filler.unlink()
        assert len(site.collect("2012-12-04").committed) == 1
        week = site.catalog.directories[-1].path
        assert {name: digest(week / name) for name in names} == digests


def test_a_root_that_may_not_be_written_says_so(site: Site, as_nobody: None) -> None:
    with pytest.raises(ArchiveError, match="not allowed"):
        site.collect("2012-12-04")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could do harm")
def test_root_leaves_the_root_of_an_ordinary_user_to_that_user(site: Site) -> None:
    os.chown(site.root, 65534, 65534)
    with pytest.raises(ArchiveError, match="belongs to the user nobody; run as that user"):
        site.collect("2012-12-04")
