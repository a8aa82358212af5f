"""A backup that is given the time, or the very name, of one that lies in another directory.

The first backup of April goes on from the year's chain, which ends on the first of March: so it may say that it was
made on any day since. Were it taken, whoever looks at the whole tree could take it for the good one.
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cya import catalog
from cya.archive.check import run as checking
from cya.archive.check.run import check
from cya.archive.init import init_archive
from cya.config.root import RootConfig
from tests.archive.archive_of_2012 import Root2012
from tests.archive.conftest import Site, at
from tests.archive.test_kill_at_every_step import copy_root
from tests.standin import increment_names

FIRST = datetime(2026, 3, 1, 3)
NOW = "2026-04-05T03:00:00"
CLAIMS = {
    "the very name": ("2026-03-01T03:00:00", "2026-03-02T03:00:00"),
    "the name of the first of a week": ("2026-03-01T03:00:00", "2026-03-08T03:00:00"),
    "the time": ("2026-03-01T03:00:00", "2026-03-03T03:00:00"),
    "the time, as a full": (None, "2026-03-03T03:00:00"),
}


def seconds(text: str | None) -> int | None:
    return None if text is None else int(at(text).timestamp())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "PAUSES", (0.0,))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = Site(tmp_path_factory.mktemp("template") / "web1")
    init_archive(site.root, RootConfig())
    for number in range(35):
        site.day((FIRST + timedelta(days=number)).isoformat())
    site.collect(NOW)
    return site.root


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    copy_root(template, tmp_path / "web1")
    return Site(tmp_path / "web1")


def claim(site: Site, start: str | None, end: str) -> None:
    last = seconds(end)
    assert last is not None
    names = increment_names(seconds(start), last)
    for name in names:
        (site.next / name).write_text("garbage")
    site.finish(names)


@pytest.mark.parametrize("what", CLAIMS)
def test_no_backup_is_given_the_time_of_another_one(site: Site, what: str) -> None:
    ledger = {path.name: path.read_bytes() for path in (site.state / "ledger").iterdir()}
    before = {backup.increment: backup.chain for backup in site.catalog.backups}
    claim(site, *CLAIMS[what])
    done = site.collect(NOW)
    assert not done.committed
    assert "another backup that was committed ends at" in done.refused[0]
    assert {path.name: path.read_bytes() for path in (site.state / "ledger").iterdir()} == ledger
    assert {backup.increment: backup.chain for backup in site.catalog.backups} == before
    assert [finding for finding in check(site.root, at(NOW)).findings if finding.damage] == []
    assert site.day(NOW).committed


def test_a_time_that_nothing_lies_at_any_more_may_be_used_again(site: Site) -> None:
    """Its period was deleted by hand, and the ledger still knows it."""
    subprocess.run(["rm", "-r", site.root / "backups/2000/2020/2026/2026-03/2026-03-01"], check=True)
    claim(site, *CLAIMS["the time"])
    assert site.collect(NOW).committed


def test_in_an_archive_of_2012_whose_ledger_is_empty_it_is_refused_too(tmp_path: Path) -> None:
    old = Root2012(tmp_path / "web1")
    old.collect("2012-11-04")
    for day in ("2012-11-04", "2012-11-05", "2012-11-06"):
        old.day(day)
    site = Site(old.root)
    site.collect("2012-12-04")
    (listed,) = [b.increment for b in catalog.read(site.root).backups if b.increment.end == seconds("2012-11-05")]
    old.upload("2012-11-05", 1)
    done = site.collect("2012-12-04")
    assert listed.end == seconds("2012-11-05")
    assert not done.committed
    assert "another backup that was committed" in done.refused[0]
