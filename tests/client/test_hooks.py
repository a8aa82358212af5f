"""The commands around a backup: when they run, what they know, and that each can veto it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.snapshot.site import Site, picture

EVENTS = ("before", "release", "after", "on_success", "on_failure")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.plain(tmp_path)


def noting(site: Site, **fails: int) -> dict[str, Any]:
    """Return hooks that note that they ran, and the codes with which some fail."""
    log = site.place / "ran"
    return {event: [["sh", "-c", f"echo {event} >> {log}; exit {fails.get(event, 0)}"]] for event in EVENTS}


def ran(site: Site) -> list[str]:
    log = site.place / "ran"
    said = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return said


def backups(site: Site) -> int:
    return len(json.loads(site.cya("list", site.root, "--json").stdout))


def test_the_order_of_a_backup_that_succeeds(site: Site) -> None:
    site.configure(hooks=noting(site))
    site.backup()
    assert ran(site) == ["before", "release", "after", "on_success"]


@pytest.mark.parametrize(
    ("event", "others"),
    [
        ("before", ["before", "release", "on_failure"]),
        ("release", ["before", "release", "on_failure"]),
        ("after", ["before", "release", "after", "on_failure"]),
    ],
)
def test_each_can_veto_and_what_was_begun_is_ended(site: Site, event: str, others: list[str]) -> None:
    site.configure(hooks=noting(site, **{event: 7}))
    said = site.fails()
    assert f"hooks.{event}: sh: exit code 7" in said
    assert ran(site) == others
    assert backups(site) == 0
    site.configure(hooks=noting(site))
    site.backup()
    assert backups(site) == 1


def test_the_first_that_fails_before_a_backup_is_the_last_that_runs(site: Site) -> None:
    log = site.place / "ran"
    commands = [["sh", "-c", f"echo 1 >> {log}"], ["false"], ["sh", "-c", f"echo 3 >> {log}"]]
    site.configure(hooks={"before": commands})
    site.fails()
    assert ran(site) == ["1"]


def test_all_commands_that_release_run_although_one_fails(site: Site) -> None:
    log = site.place / "ran"
    site.configure(hooks={"release": [["false"], ["sh", "-c", f"echo 2 >> {log}"]]})
    site.fails()
    assert ran(site) == ["2"]


def test_one_that_fails_after_success_is_told_and_the_backup_is_there(site: Site) -> None:
    site.configure(hooks=noting(site, on_success=5))
    done = site.backup(status=10)
    assert "hooks.on_success: sh: exit code 5" in done["warnings"][0]
    assert backups(site) == 1


def test_one_that_fails_after_a_failure_is_told_beside_it(site: Site) -> None:
    site.configure(hooks=noting(site, after=1, on_failure=9))
    said = site.fails()
    assert "hooks.after: sh: exit code 1" in said
    assert "hooks.on_failure: sh: exit code 9" in said


def test_what_they_know(site: Site) -> None:
    script = f"env | grep ^CYA_ | grep -v ^CYA_NOW | sort > {site.place}/$CYA_HOOK"
    site.configure(hooks={event: [["sh", "-c", script]] for event in EVENTS})
    site.backup()
    site.configure(hooks={**{event: [["sh", "-c", script]] for event in EVENTS}, "after": [["false"]]})
    site.fails()

    def facts(event: str) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (site.place / event).read_text().splitlines())

    always = {
        "CYA_CONFIG": str(site.config),
        "CYA_NAME": "web1",
        "CYA_SOURCE": str(site.source),
        "CYA_ARCHIVE": str(site.root),
    }
    assert facts("before") == {**always, "CYA_HOOK": "before"}
    after = facts("after")
    assert {*after} - {*always} == {"CYA_HOOK", "CYA_KIND", "CYA_END", "CYA_LOST"}
    assert (after["CYA_KIND"], after["CYA_LOST"]) == ("full", "0")
    assert after["CYA_END"].endswith("Z")
    assert facts("on_success") == {**after, "CYA_HOOK": "on_success"}
    failed = facts("on_failure")
    assert failed["CYA_EXIT_CODE"] == "1"
    assert failed["CYA_ERROR"].startswith("hooks.after: false: exit code 1")


def test_what_they_say_is_in_the_log(site: Site) -> None:
    site.configure(
        hooks={"before": [["sh", "-c", "echo one; printf 'two\\033[31m' >&2"]], "after": [["sh", "-c", "exit 4"]]}
    )
    said = site.fails()
    assert "exit code 4" in said
    log = site.cache / "hooks.log"
    lines = log.read_text().splitlines()
    assert "before ['sh', '-c', " in lines[0]
    assert ": done (" in lines[0]
    assert lines[1:3] == ["    one", "    two\\x1b[31m"]
    assert ": exit code 4 (" in lines[3]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    with log.open("a") as file:
        file.write("x" * (1 << 20))
    site.fails()
    assert log.stat().st_size < 1000
    assert (site.cache / "hooks.log.1").stat().st_size > 1 << 20


def test_a_time_limit(site: Site) -> None:
    site.configure(hooks={"before": [["sleep", "1000"]], "time_limit": 1})
    assert "hooks.before: sleep: took longer than 1 s; there is no backup" in site.fails()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give an archive to somebody else")
def test_nothing_runs_for_a_dry_run_or_when_there_is_nothing_to_do(site: Site) -> None:
    site.configure(hooks=noting(site))
    site.hours += 1
    site.cya("backup", "--config", site.config, "--dry-run")
    assert ran(site) == []
    os.chown(site.root, 65534, 65534)  # somebody else's, who collects
    (site.root / "incoming/next").rename(site.root / "incoming/away")
    site.fails(status=11)
    assert ran(site) == []


def test_a_failure_before_anything_was_begun_is_told_to_the_hook(site: Site) -> None:
    site.configure(hooks=noting(site))
    site.root.rename(site.place / "away")
    site.fails()
    assert ran(site) == ["on_failure"]


def test_another_run_at_work_is_no_failure(site: Site) -> None:
    site.configure(hooks=noting(site))
    lock = subprocess.Popen(["flock", site.cache / "backup.lock", "sleep", "60"]) if site.cache.exists() else None
    if lock is None:
        site.cache.mkdir(0o700)
        lock = subprocess.Popen(["flock", site.cache / "backup.lock", "sh", "-c", f"touch {site.place}/held; sleep 60"])
    while not (site.place / "held").exists():
        pass
    assert "another backup with this config is running" in site.fails(status=12)
    subprocess.run(["pkill", "-f", f"touch {site.place}/held"], check=False)
    lock.kill()
    lock.wait()
    assert ran(site) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('before = ["true"]', "hooks.before: expected a list of commands, each a list of a program and its arguments"),
        ("before = [[]]", "hooks.before: expected"),
        ('bfore = [["true"]]', "hooks.bfore: unknown key; did you mean before?"),
        ("time_limit = 0", "hooks.time_limit: expected an integer from 1 to 86400 (seconds)"),
    ],
)
def test_bad_settings_are_refused(site: Site, text: str, said: str) -> None:
    site.configure()
    with site.config.open("a") as file:
        file.write(f"[hooks]\n{text}\n")
    assert said in site.fails(status=2)


def test_a_database_that_stands_still_while_it_is_read(site: Site) -> None:
    """Without snapshots: before stops it, release lets it go on when it has been read."""
    database = site.source / "shop.db"
    with sqlite3.connect(database) as made:
        made.execute("CREATE TABLE t (x)")
    made.close()
    was = picture(site.source)
    add = f"sqlite3 {database} 'INSERT INTO t VALUES (1)'"
    site.configure(hooks={"release": [["sh", "-c", add]]})
    site.backup()
    restored = picture(site.restored())
    assert restored["shop.db"] == was["shop.db"]
    assert picture(site.source)["shop.db"] != was["shop.db"]
