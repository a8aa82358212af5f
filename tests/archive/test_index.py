"""The list of backups that a client may see, where its root's settings say so."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from cya.archive.check.run import check
from cya.archive.init import init_archive
from cya.config.root import RootConfig
from cya.transport import index
from cya.transport.index import Listed
from tests.archive.conftest import Site, at

DAYS = ("2012-12-04", "2012-12-05", "2012-12-09")


@pytest.fixture
def told(tmp_path: Path) -> Site:
    init_archive(tmp_path / "web1", RootConfig(index=True))
    site = Site(tmp_path / "web1")
    for day in DAYS:
        site.day(day)
    return site


def index_of(site: Site) -> Path:
    return site.root / "outgoing/index.json"


def set_index(site: Site, value: str) -> None:
    settings = site.root / "cya.toml"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("index = ")]
    settings.write_text("\n".join([*lines, f"index = {value}", ""]))


def test_it_tells_times_kinds_levels_and_lengths_of_chains(told: Site) -> None:
    all_levels = ("week", "month", "year", "decade", "century")
    assert index.decode(index_of(told).read_bytes()).backups == (
        Listed(at("2012-12-04"), "full", all_levels, 1),
        Listed(at("2012-12-05"), "inc", ("week",), 2),
        Listed(at("2012-12-09"), "inc", ("week", "month"), 2),
    )
    found = index_of(told).stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o444, os.geteuid())


def test_it_tells_nothing_else(told: Site) -> None:
    raw = json.loads(index_of(told).read_text())
    assert set(raw) == {"version", "backups"}
    assert {key for each in raw["backups"] for key in each} == {"time", "kind", "levels", "chain_length"}


def test_a_new_root_has_an_empty_one(tmp_path: Path) -> None:
    init_archive(tmp_path / "web1", RootConfig(index=True))
    site = Site(tmp_path / "web1")
    site.collect("2012-12-04")
    assert index.decode(index_of(site).read_bytes()).backups == ()


def test_what_cannot_be_restored_has_no_length(told: Site) -> None:
    for path in told.root.glob("backups/**/*to.20121205*vol1*"):
        path.unlink()
    told.day("2012-12-10")
    lengths = [each.chain_length for each in index.decode(index_of(told).read_bytes()).backups]
    assert lengths == [1, None, 2, 3]


def test_without_the_setting_there_is_none(site: Site) -> None:
    site.day("2012-12-04")
    assert not index_of(site).exists()
    set_index(site, "true")
    site.collect("2012-12-04")
    assert len(index.decode(index_of(site).read_bytes()).backups) == 1
    (site.root / "outgoing/.index.json.tmp").write_text("of a run that was killed")
    set_index(site, "false")
    site.collect("2012-12-04")
    assert list((site.root / "outgoing").iterdir()) == []


def test_it_is_written_when_something_is_committed_and_not_otherwise(told: Site) -> None:
    before = index_of(told).stat().st_ino
    told.collect("2012-12-10")
    told.collect("2012-12-10")
    assert index_of(told).stat().st_ino == before
    told.day("2012-12-10")
    assert len(index.decode(index_of(told).read_bytes()).backups) == 4


def test_check_and_status_do_not_take_it_for_a_loan(told: Site) -> None:
    assert check(told.root, at("2012-12-10")).findings == ()
    assert told.collect("2012-12-10").returned == []
    assert index_of(told).exists()


def test_a_root_that_lost_outgoing_gets_it_again(told: Site) -> None:
    shutil.rmtree(told.root / "outgoing")
    told.collect("2012-12-10")
    assert index_of(told).exists()
    assert stat.S_IMODE((told.root / "outgoing").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "text", ["", "[]", '{"version":2,"backups":[]}', '{"backups":[{"time":"2012-12-04T00:00:00"}]}']
)
def test_what_is_no_index_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        index.decode(text.encode())
