"""A root of the 2012 cya is taken over as it is: listed, its finished upload taken, completed, continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from cya.archive.collect import collect
from cya.errors import ArchiveError
from tests.archive.archive_of_2012 import Root2012
from tests.archive.conftest import Site, at

DAYS = ["2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10", "2013-01-06", "2013-01-07"]


@pytest.fixture
def old(tmp_path: Path) -> Root2012:
    root = Root2012(tmp_path / "web1")
    root.collect(DAYS[0])
    for day in DAYS:
        root.day(day, volumes=2)
    return root


def test_the_weeks_of_2012_cannot_be_restored_alone(old: Root2012) -> None:
    """What this is for: the model is as the old archives are."""
    week = old.backups / "2000/2010/2012/2012-12/2012-12-09/files"
    names = sorted(path.name for path in week.iterdir())
    assert any(name.startswith("duplicity-full.") and "manifest" in name for name in names)
    assert not any(name.startswith("duplicity-full.") and ".vol1." in name for name in names)


def test_every_directory_is_completed(old: Root2012) -> None:
    done = collect(old.root, at("2013-01-08"))
    assert done.adopted
    for directory in Site(old.root).catalog.directories:
        assert all(files.is_complete for files in directory.sets.values()), directory.path
        assert not directory.chains.orphans


def test_a_finished_upload_is_taken_and_the_chain_continued(old: Root2012) -> None:
    old.upload("2013-01-08", volumes=2)
    done = collect(old.root, at("2013-01-08"))
    assert [increment.end for increment in done.committed] == [int(at("2013-01-08").timestamp())]
    backups = Site(old.root).catalog.backups
    assert len(backups) == len(DAYS) + 1
    assert all(backup.chain is not None for backup in backups)
    assert not (old.incoming / "finished").exists()


def test_the_client_of_2012_goes_on_as_before(old: Root2012) -> None:
    collect(old.root, at("2013-01-08"))
    for day in ("2013-01-08", "2013-01-13", "2013-02-03", "2020-01-05"):
        collect(old.root, at(day))
        old.upload(day)
        assert not collect(old.root, at(day)).refused
    assert len(Site(old.root).catalog.backups) == len(DAYS) + 4
    assert all(not d.chains.orphans for d in Site(old.root).catalog.directories)


def test_an_old_archive_is_listed_before_it_is_adopted(old: Root2012) -> None:
    assert [b.chain is not None for b in Site(old.root).catalog.backups] == [True] * len(DAYS)


def test_an_archive_of_2012_without_a_backup_yet(tmp_path: Path) -> None:
    old = Root2012(tmp_path / "web1")
    old.collect(DAYS[0])
    old.upload(DAYS[0])
    assert len(collect(old.root, at(DAYS[0])).committed) == 1


def test_a_malformed_next_info_is_refused_and_nothing_is_touched(old: Root2012) -> None:
    (old.root / "next_info").write_text("2000/2010\n../../etc\n")
    with pytest.raises(ArchiveError, match="next_info: expected"):
        collect(old.root, at("2013-01-08"))
    assert (old.root / "next_info").exists()
    assert (old.incoming / "next").exists()


def test_adopting_twice_changes_nothing(old: Root2012) -> None:
    collect(old.root, at("2013-01-08"))
    before = Site(old.root).listing()
    assert collect(old.root, at("2013-01-08")).adopted is None
    assert Site(old.root).listing() == before
