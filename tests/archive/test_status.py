"""How the roots of an archive are told to a monitor, and to people."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cya.archive.init import init_archive
from cya.archive.state import State
from cya.archive.status import age, status
from cya.config.archive import load, parse_age
from cya.config.root import RootConfig
from cya.durable import lock
from cya.errors import ConfigError
from tests.archive.conftest import Site, at
from tests.archive.own_machine import CYA

DAY = parse_age("36h")


def root(tmp_path: Path, name: str) -> Site:
    path = tmp_path / name
    init_archive(path, RootConfig())
    return Site(path)


def cya(*words: str | Path, now: str = "2026-03-05T03:00:00Z") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CYA, "status", *words, "--now", now],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TZ": "UTC"},
    )


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(done.stdout)}


def test_a_root_tells_its_last_backup_its_state_and_its_sizes(site: Site) -> None:
    for day in range(2, 6):
        site.day(f"2026-03-0{day}T03:00:00")
    it = status(site.root, at("2026-03-05T05:30:00"), DAY)
    assert it.error is None
    assert (it.name, it.last, it.age) == ("web1", int(at("2026-03-05T03:00:00").timestamp()), 9000)
    assert (it.state, it.backups, it.damaged, it.overdue) == (State.SERVED, 4, 0, None)
    files = {p.stat().st_ino: p.stat().st_size for p in (site.root / "backups").rglob("*") if p.is_file()}
    assert it.bytes == sum(files.values())
    space = os.statvfs(site.root)
    assert 0 < it.free_bytes <= space.f_blocks * space.f_frsize
    assert it.free_inodes is None or 0 < it.free_inodes <= space.f_files


def test_each_state_is_told(site: Site) -> None:
    now = at("2026-03-02T04:00:00")
    assert status(site.root, now, DAY).state is State.IDLE
    site.collect("2026-03-02T03:00:00")
    assert status(site.root, now, DAY).state is State.SERVED
    site.upload("2026-03-02T03:00:00")
    assert status(site.root, now, DAY).state is State.READY


def test_it_reads_while_a_collect_is_at_work_and_changes_nothing(site: Site) -> None:
    site.day("2026-03-02T03:00:00")
    before = site.listing()
    with lock(str(site.state / "lock"), "busy"):
        assert status(site.root, at("2026-03-02T04:00:00"), DAY).error is None
    assert site.listing() == before


def test_refused_uploads_are_counted_and_the_newest_is_told(site: Site) -> None:
    for day in (2, 3):
        site.collect(f"2026-03-0{day}T03:00:00")
        names = site.upload(f"2026-03-0{day}T03:00:00")
        (site.next / names[0]).write_text(f"not what was announced, {day}")
        site.collect(f"2026-03-0{day}T03:00:00")
    it = status(site.root, at("2026-03-03T04:00:00"), DAY)
    assert it.quarantines == 2
    assert it.newest_refusal is not None
    assert it.newest_refusal[0] == str(site.state / "quarantine/20260303T030000Z")
    assert "should have" in it.newest_refusal[1]


def test_a_backup_that_cannot_be_restored_is_not_the_last_one(site: Site) -> None:
    for day in (2, 3):
        site.day(f"2026-03-0{day}T03:00:00")
    for path in (site.root / "backups").rglob("*2026*to.20260303*vol1*"):
        path.unlink()
    it = status(site.root, at("2026-03-03T04:00:00"), DAY)
    assert (it.backups, it.damaged, it.last) == (1, 1, int(at("2026-03-02T03:00:00").timestamp()))


def test_who_is_overdue_is_said_and_the_exit_code_is_1(tmp_path: Path) -> None:
    root(tmp_path, "web1").day("2026-03-04T03:00:00")
    root(tmp_path, "db").day("2026-03-03T03:00:00")
    roots = [tmp_path / "web1", tmp_path / "db"]
    done = cya(*roots)
    assert done.returncode == 1
    assert re.fullmatch(
        r"cya: db: overdue: the last backup is of 2026-03-03T03:00:00\S*, which is 48 hours ago\n", done.stderr
    )
    assert "overdue" in done.stdout
    assert cya(*roots, "--max-age", "3D").returncode == 0
    assert cya(*roots, "--max-age", "1h").stderr.count("overdue") == 2
    assert facts(cya(*roots, "--json"))["db"]["overdue"] is True


def test_a_client_that_never_made_a_backup_is_overdue_in_time(site: Site) -> None:
    site.collect("2026-03-02T03:00:00")
    os.utime(site.root / "cya.toml", (at("2026-03-02T03:00:00").timestamp(),) * 2)
    assert status(site.root, at("2026-03-03T03:00:00"), DAY).overdue is None
    it = status(site.root, at("2026-03-04T03:00:00"), DAY)
    assert it.overdue is not None
    assert it.overdue.startswith("web1: overdue: no backup since")


def test_a_broken_root_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        root(tmp_path, name).day("2026-03-05T02:00:00")
    (tmp_path / "a" / "cya.toml").write_text("levels = 3\n")
    (tmp_path / "b" / "state").rename(tmp_path / "b" / "gone")
    (tmp_path / "e").mkdir()
    config = tmp_path / "archive.toml"
    config.write_text(f'roots = ["{tmp_path}/missing", "{tmp_path}/[a-e]"]\n')
    config.chmod(0o600)
    done = cya("--config", config, "--json")
    assert done.returncode == 1
    found = facts(done)
    assert {name for name, each in found.items() if each["error"]} == {"a", "b", "e", "missing"}
    assert found["c"]["backups"] == found["d"]["backups"] == 1
    assert done.stderr.count("cya: ") == 4
    table = cya("--config", config)
    assert table.returncode == 1
    assert table.stdout.count("cannot be read") == 4


def test_json_says_all_and_the_table_says_it_to_people(site: Site) -> None:
    site.day("2026-03-05T02:00:00")
    found = facts(cya(site.root, "--json"))["web1"]
    assert found.pop("free_bytes") > 0
    found.pop("free_inodes")
    assert found.pop("bytes") > 0
    assert found == {
        "name": "web1",
        "root": str(site.root),
        "state": "served",
        "last": "2026-03-05T02:00:00Z",
        "age": 3600,
        "overdue": False,
        "removed": False,
        "backups": 1,
        "damaged": 0,
        "loans": [],
        "deferred": 0,
        "alarms": [],
        "quarantines": 0,
        "newest_refusal": None,
        "error": None,
    }
    table = cya(site.root)
    assert (table.returncode, table.stderr) == (0, "")
    for word in ("web1", "2026-03-05T02:00:00", "60 minutes", "waiting for an upload"):
        assert word in table.stdout


def test_the_configs_max_age_is_taken_and_the_option_wins(site: Site, tmp_path: Path) -> None:
    site.day("2026-03-05T00:00:00")
    config = tmp_path / "archive.toml"
    config.write_text(f'roots = ["{site.root}"]\nmax_age = "2h"\n')
    config.chmod(0o600)
    assert cya("--config", config).returncode == 1
    assert cya(site.root, "--config", config).returncode == 1
    assert cya("--config", config, "--max-age", "4h").returncode == 0
    wrong = cya("--config", config, "--max-age", "soon")
    assert wrong.returncode == 2
    assert 'expected an age such as "36h"' in wrong.stderr
    config.write_text(f'roots = ["{site.root}"]\nmax_age = "36"\n')
    with pytest.raises(ConfigError, match="max_age: expected an age such as"):
        load(config)


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "59 seconds"), (3600, "60 minutes"), (36 * 3600, "36 hours"), (9 * 86400, "9 days")]
)
def test_an_age_has_one_unit(seconds: int, text: str) -> None:
    assert age(seconds) == text
