"""Limits on what a client may take up, alarms for what is unusual, and the log that tells of it later."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.archive.state import State
from cya.archive.status import status
from cya.config.archive import parse_age
from cya.config.root import RootConfig
from cya.errors import ArchiveError
from tests.archive.conftest import Site, at


def made(root: Path, **settings: Any) -> Site:
    init_archive(root, RootConfig(**settings))
    return Site(root)


def test_more_files_than_allowed_are_refused(tmp_path: Path) -> None:
    site = made(tmp_path / "web1", max_files=4)
    assert len(site.day("2012-12-04", volumes=2).committed) == 1
    site.upload("2012-12-05", volumes=3)
    assert "more than 4 files" in site.collect("2012-12-05").refused[0]
    assert len(site.day("2012-12-06", volumes=2).committed) == 1


def test_more_bytes_than_allowed_are_refused(tmp_path: Path) -> None:
    site = made(tmp_path / "web1", max_batch=1)
    assert len(sized_day(site, "2012-12-04", 900_000)[0]) == 1
    assert "max_batch" in sized_day(site, "2012-12-05", 2 << 20)[1][0]
    assert len(sized_day(site, "2012-12-06", 900_000)[0]) == 1


@pytest.mark.parametrize(("setting", "word"), [("reserve", "MiB are free"), ("reserve_inodes", "inodes are free")])
def test_below_the_reserve_nothing_is_served(tmp_path: Path, setting: str, word: str) -> None:
    root = tmp_path / "web1"
    init_archive(root, msgspec.structs.replace(RootConfig(), **{setting: 1 << 60}))
    if setting == "reserve_inodes" and not os.statvfs(root).f_files:
        pytest.skip("this file system does not count inodes")
    with pytest.raises(ArchiveError, match=word):
        collect(root, at("2012-12-04"))
    assert not (root / "incoming/next").exists()


def sized_day(site: Site, day: str, size: int, *, full: bool = False) -> tuple[list[Any], list[str], list[str]]:
    """One day with a volume of so many bytes; return what was committed, refused, and the alarms."""
    site.collect(day)
    names = site.write(day, full=full)
    (site.next / names[0]).write_bytes(os.urandom(size))
    site.finish(names)
    done = site.collect(day)
    return done.committed, done.refused, done.alarms


@pytest.fixture
def usual(site: Site) -> Site:
    """A client that sends 3 to 4 MB a day."""
    for day in range(4, 13):
        committed, _, alarms = sized_day(site, f"2012-12-{day:02}", 3_000_000 + day * 100_000)
        assert (len(committed), alarms) == (1, [])
    return site


@pytest.mark.parametrize(
    ("size", "said"),
    [(100_000_000, "as by encryption"), (1_000, "not mounted"), (8_000_000, None), (1_500_000, None)],
)
def test_a_size_far_outside_what_is_usual_raises_an_alarm_and_is_committed(
    usual: Site, size: int, said: str | None
) -> None:
    committed, _, alarms = sized_day(usual, "2012-12-13", size)
    assert len(committed) == 1
    assert bool(alarms) == bool(said)
    if said:
        assert said in alarms[0]
        assert f"{size // 1_000_000}" in alarms[0]
        found = status(usual.root, at("2012-12-14"), parse_age("2D"))
        assert said in found.alarms[0]
        assert not status(usual.root, at("2012-12-30"), parse_age("60D")).alarms


def test_a_full_where_an_increment_was_served_raises_an_alarm_and_is_committed(site: Site) -> None:
    assert site.day("2012-12-04").alarms == []
    done = site.day("2012-12-05", full=True)
    assert len(done.committed) == 1
    assert "a full backup" in done.alarms[0]


def test_the_log_has_a_line_for_each_event(site: Site) -> None:
    site.day("2012-12-04")
    names = site.upload("2012-12-05")
    (site.next / names[0]).write_text("x\ny")
    site.collect("2012-12-05")
    names = site.upload("2012-12-06")
    (site.next / "evil\n2012-12-06T00:00:00Z commit").write_text("x")
    site.collect("2012-12-06")
    lines = (site.state / "log").read_text().splitlines()
    assert [line.split(" ")[:2] for line in lines] == [
        ["2012-12-04T00:00:00Z", "serve"],
        ["2012-12-04T00:00:00Z", "take"],
        ["2012-12-04T00:00:00Z", "commit"],
        ["2012-12-04T00:00:00Z", "serve"],
        ["2012-12-05T00:00:00Z", "take"],
        ["2012-12-05T00:00:00Z", "refuse"],
        ["2012-12-05T00:00:00Z", "serve"],
        ["2012-12-06T00:00:00Z", "take"],
        ["2012-12-06T00:00:00Z", "refuse"],
        ["2012-12-06T00:00:00Z", "serve"],
    ]
    assert "full 2012-12-04T00:00:00Z" in lines[2]
    assert "quarantine=20121205T000000Z" in lines[5]
    assert (site.state / "log").stat().st_mode & 0o777 == 0o600


def test_an_upload_that_was_given_up_keeps_no_place(site: Site) -> None:
    """Else its next would stay that of a year long past, and the backup that comes one day would lie there."""
    site.day("2025-03-04")
    site.write("2025-03-05")
    assert site.collect("2025-03-06").served is None
    assert site.collect("2025-03-20").served is None  # its files have changed less than two days ago
    late = "2040-06-01"
    done = site.collect(late)
    assert done.served is not None
    assert done.state is State.SERVED
    assert list(site.state.glob("quarantine/*/files/*20250305*vol1*"))
    assert len(site.day(late).committed) == 1
    assert list(site.root.glob("backups/2000/2040/2040/2040-05/2040-05-27/files/*20400601*"))


def test_a_transfer_that_goes_on_keeps_its_place_and_the_rest_of_a_broken_one_does_not(site: Site) -> None:
    site.collect("2012-12-04")
    part = site.next / ".duplicity-full.20121204T000000Z.vol1.difftar.gpg.part"
    part.write_text("half")
    now = part.stat().st_ctime
    assert collect(site.root, datetime.fromtimestamp(now + 60, UTC)).served is None
    assert collect(site.root, datetime.fromtimestamp(now + 7200, UTC)).served is not None
    assert not part.exists()
