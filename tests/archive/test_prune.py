"""``cya prune``, and collects that prune: what goes, what stays, what holds, and what is said."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cya.archive.check import run as checking
from cya.archive.check.run import check
from cya.archive.init import init_archive
from cya.archive.lend import lend
from cya.archive.prune import Pruned, prune
from cya.config.archive import parse_age
from cya.config.root import RootConfig
from cya.durable import lock
from cya.errors import ArchiveError, Locked
from cya.tree.chain import chains
from tests.archive.archive_of_2012 import Root2012
from tests.archive.conftest import Site, at
from tests.archive.own_machine import CYA
from tests.archive.test_kill_at_every_step import copy_root, killed_at
from tests.mounts import small_file_system

FIRST = datetime(2026, 3, 1)
DAYS = 41
LAST = "2026-04-10"
KEEP = {"week": 2, "month": 1}
MARCH, APRIL = "backups/2000/2020/2026/2026-03", "backups/2000/2020/2026/2026-04"


def day(number: int) -> str:
    return f"{FIRST + timedelta(days=number):%Y-%m-%d}"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "PAUSES", (0.0,))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-one daily backups, from 2026-03-01 to 2026-04-10."""
    site = Site(tmp_path_factory.mktemp("template") / "web1")
    init_archive(site.root, RootConfig())
    for number in range(DAYS):
        site.day(day(number))
    return site.root


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    root = tmp_path / "web1"
    copy_root(template, root)
    return Site(root)


def prune_it(site: Site, now: str = LAST, keep: dict[str, int] | None = None, **how: bool) -> Pruned:
    return prune(site.root, at(now), KEEP if keep is None else keep, **how)


def settings(site: Site, **values: Any) -> None:
    config = site.root / "cya.toml"
    lines = [line for line in config.read_text().splitlines() if line.split(" = ")[0] not in values]
    lines += [f"{name} = {value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items()]
    config.write_text("\n".join(lines) + "\n")


def used(top: Path) -> int:
    """Bytes on the disk of all files below a directory, each inode once."""
    found = {path.stat().st_ino: path.stat().st_blocks * 512 for path in top.rglob("*") if path.is_file()}
    return sum(found.values())


def directories(site: Site) -> list[str]:
    return ["/".join(directory.period) for directory in site.catalog.directories]


def restorable(site: Site) -> list[str]:
    return [f"{datetime.fromtimestamp(b.increment.end):%Y-%m-%d}" for b in site.catalog.backups if b.chain is not None]


# ---------------------------------------------------------------------------------------------------------------------
# What goes


def test_what_it_says_is_what_it_does(site: Site) -> None:
    before = used(site.root / "backups")
    told = prune_it(site, dry_run=True)
    listed = site.listing()
    assert not told.deleted
    assert site.listing() == listed
    done = prune_it(site)
    assert done.deleted
    assert done.decided == told.decided
    kept = [v for v in done.decided.verdicts if not v.goes]
    assert directories(site) == ["/".join(verdict.period) for verdict in kept]
    assert [int(at(d).timestamp()) for d in restorable(site)] == [i.end for i in done.decided.left]
    assert told.freed == done.freed == before - used(site.root / "backups")
    assert not any(directory.chains.orphans for directory in site.catalog.directories)


def test_the_ledger_forgets_what_lies_nowhere_and_nothing_else(site: Site) -> None:
    prune_it(site)
    entries = {path.name for path in (site.state / "ledger").iterdir()}
    assert len(entries) == len(site.catalog.backups)
    found = check(site.root, at(LAST)).findings
    assert [finding for finding in found if finding.damage] == []
    assert [finding.kind for finding in found if finding.kind == "pruned"] == []


def test_backups_go_on_and_a_check_finds_nothing(site: Site) -> None:
    for number in range(DAYS, DAYS + 40):
        site.day(day(number))
        prune_it(site, day(number))
        assert [finding for finding in check(site.root, at(day(number))).findings if finding.damage] == []
    weeks = [directory for directory in site.catalog.directories if len(directory.period) == 5]
    assert len(weeks) == 2


def test_a_directory_goes_with_whatever_else_is_in_it(site: Site) -> None:
    (site.root / MARCH / "2026-03-01/a note").write_text("by an administrator")
    (site.root / MARCH / "2026-03-01/empty/deeper").mkdir(parents=True)
    prune_it(site)
    assert not (site.root / MARCH / "2026-03-01").exists()


def test_what_is_served_stays_as_it_is_and_the_upload_is_committed(site: Site) -> None:
    site.collect("2026-04-11")
    names = site.write("2026-04-11")
    inodes = {path.name: path.stat().st_ino for path in site.next.iterdir()}
    prune_it(site, "2026-05-30", {"week": 1, "month": 1}, force=True)
    assert {path.name: path.stat().st_ino for path in site.next.iterdir()} == inodes
    site.finish(names)
    done = site.collect("2026-05-30")
    assert done.committed
    assert not done.refused


def test_a_commit_that_was_stopped_is_gone_on_with_after_a_prune(site: Site) -> None:
    """Its plan names directories that a prune must leave."""
    site.collect("2026-04-12")
    site.upload("2026-04-12")
    assert killed_at("vol1.", lambda: site.collect("2026-04-12"))
    assert (site.state / "plan.json").exists()
    prune_it(site, "2026-04-12", {"week": 1, "month": 1, "year": 1, "decade": 1, "century": 1})
    assert site.collect("2026-04-12").committed
    assert day(DAYS + 1) in restorable(site)
    assert not any(directory.chains.orphans for directory in site.catalog.directories)


def test_a_loan_outlives_what_it_was_made_from_and_its_bytes_are_not_free(site: Site) -> None:
    loan = lend(site.root, at("2026-03-18"), parse_age("2D"), at(LAST))
    lent = {path.name: path.stat().st_ino for path in (site.root / "outgoing").glob("*/*.gpg")}
    before = used(site.root)
    done = prune_it(site)
    assert done.freed == before - used(site.root) + _entries(site)
    assert {path.name: path.stat().st_ino for path in (site.root / "outgoing").glob("*/*.gpg")} == lent
    assert loan.loan.end == int(at("2026-03-18").timestamp())
    ended = prune_it(site, "2026-04-20", force=True)
    assert ended.returned
    assert not list((site.root / "outgoing").glob("*/*"))


def _entries(site: Site) -> int:
    """What the ledger has become smaller by is not told as free; nor what the log has become larger by."""
    lost = DAYS - len(site.catalog.backups)
    log = -(-len((site.state / "log").read_bytes()) // 4096) - -(-len(_log_before(site)) // 4096)
    return (log - lost) * 4096


def _log_before(site: Site) -> bytes:
    return b"".join(line for line in (site.state / "log").read_bytes().splitlines(True) if b" prune " not in line)


def test_several_chains_in_a_directory_become_those_that_are_needed(site: Site) -> None:
    for number, full in ((41, True), (42, True), (43, True), (44, False)):
        site.day(day(number), full=full)
    (site.state / "log").unlink()  # the alarms of these
    assert len(site.catalog[("2000",)].chains.chains) == 4
    before = used(site.root / "backups")
    done = prune_it(site, day(44), {"week": 3})
    assert done.freed == before - used(site.root / "backups")
    lengths = {d.period[-1]: [len(chain) for chain in d.chains.chains] for d in site.catalog.directories}
    assert lengths == {
        "2000": [1, 1],  # the first backup of the decade, and what is continued
        "2020": [1, 1],
        "2026": [2, 1],
        "2026-03": [5],
        "2026-04": [2, 1, 1],  # that of 2026-04-12 is the first of its week
        "2026-03-29": [11],
        "2026-04-05": [7, 1],
        "2026-04-12": [1, 2],
    }
    assert [finding for finding in check(site.root, at(day(44))).findings if finding.damage] == []
    site.day(day(45))
    assert day(45) in restorable(site)


def test_the_index_for_the_client_does_not_tell_of_what_is_gone(site: Site) -> None:
    settings(site, index=True)
    site.collect(LAST)
    prune_it(site)
    index = json.loads((site.root / "outgoing/index.json").read_text())
    assert len(index["backups"]) == len(site.catalog.backups) < DAYS


def test_each_deletion_has_its_line_in_the_log(site: Site) -> None:
    done = prune_it(site, keep={"week": 1, "month": 1})
    lines = [line for line in (site.state / "log").read_text().splitlines() if " prune " in line]
    assert len(lines) == len(done.decided.going)
    assert "2026-04-10T00:00:00Z prune 2000/2020/2026/2026-03 reason=not the newest month" in lines


def test_refused_uploads_are_kept_for_their_time(site: Site) -> None:
    for number in range(3):
        site.collect(day(DAYS + number))
        site.write(day(DAYS + number))
        (site.next / "FINISHED").write_text("not even JSON")
        assert site.collect(day(DAYS + number)).refused
    settings(site, keep_refused=30)
    slots = sorted(path.name for path in (site.state / "quarantine").iterdir())
    assert len(slots) == 3
    gone = prune_it(site, "2026-05-12", force=True)
    assert gone.expired == slots[:1]
    assert sorted(path.name for path in (site.state / "quarantine").iterdir()) == slots[1:]
    site.collect("2026-06-20")
    assert list((site.state / "quarantine").iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------------
# What holds


def test_damage_in_what_would_stay_holds(site: Site) -> None:
    victim = next((site.root / APRIL / "2026-04-05/files").glob("*20260406T*vol1*"))
    victim.chmod(0o600)
    victim.write_bytes(b"x" * victim.stat().st_size)
    assert check(site.root, at(LAST)).damaged
    before = site.listing()
    done = prune_it(site)
    assert not done.deleted
    assert "damage in 2000/2020/2026/2026-04/2026-04-05" in done.held[0]
    assert "SHA-256" in done.held[0]
    assert site.listing() == before
    assert prune_it(site, force=True).deleted
    assert not (site.root / MARCH).exists() or "2026-03-29" in os.listdir(site.root / MARCH)


def test_a_missing_file_in_what_would_stay_holds_without_a_check(site: Site) -> None:
    next((site.root / "backups/2000/2020/files").glob("*vol1*")).unlink()
    done = prune_it(site)
    assert not done.deleted
    assert "damage in 2000/2020, which would stay" in done.held[0]


def test_damage_in_what_goes_does_not_hold(site: Site) -> None:
    next((site.root / MARCH / "2026-03-08/files").glob("*20260310*vol1*")).unlink()
    assert prune_it(site).deleted


def test_a_client_that_is_silent_holds(site: Site) -> None:
    before = site.listing()
    done = prune_it(site, "2026-04-25")
    assert not done.deleted
    assert "the last backup is of 2026-04-10" in done.held[0]
    assert site.listing() == before
    settings(site, max_silence=0)
    assert prune_it(site, "2026-04-25").deleted


def test_an_alarm_holds_for_two_weeks(site: Site) -> None:
    site.collect("2026-04-11")
    names = site.write("2026-04-11")
    (site.next / names[0]).write_bytes(os.urandom(3 << 20))
    site.finish(names)
    assert site.collect("2026-04-11").alarms
    for number in range(42, 60):
        site.day(day(number))
        done = prune_it(site, day(number))
        assert bool(done.held) == (number <= 41 + 14), day(number)
        assert not done.held or "bytes, where 241 are usual for this client" in done.held[0]
        assert done.deleted == (bool(done.decided.going) and not done.held)
    assert len(directories(site)) < 10


def test_a_client_cannot_push_its_alarm_out_of_sight(site: Site) -> None:
    site.day(day(DAYS), full=True)
    with (site.state / "log").open("a") as log:
        for second in range(30_000):
            log.write(f"2026-04-12T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z refuse {'x' * 200}\n")
    assert "a full backup of 2026-04-11" in prune_it(site, "2026-04-12").held[0]


def test_nothing_to_delete_holds_nothing(site: Site) -> None:
    assert prune_it(site, "2027-01-01", {"week": 50, "month": 50}).held == ()


# ---------------------------------------------------------------------------------------------------------------------
# Collects that prune


def test_a_collect_prunes_what_it_has_committed_where_the_settings_say_so(site: Site) -> None:
    settings(site, keep="{ week = 2, month = 1 }", prune=True)
    assert site.collect(LAST).pruned is None  # nothing was committed
    done = site.day(day(DAYS))
    assert done.pruned is not None
    assert done.pruned.deleted
    assert len([name for name in directories(site) if name.count("/") == 4]) == 2
    assert site.next.is_dir()


def test_a_hold_keeps_no_backup_from_being_committed(site: Site) -> None:
    settings(site, keep="{ week = 2, month = 1 }", prune=True)
    done = site.day(day(DAYS), full=True)
    assert done.committed
    assert done.pruned is not None
    assert done.pruned.held
    assert not done.pruned.deleted
    assert site.next.is_dir()


def test_what_keeps_a_prune_from_its_work_keeps_no_backup_from_being_made(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(site, keep="{ week = 2, month = 1 }", prune=True)
    monkeypatch.setattr("cya.archive.pruning.remove", _no_disk)
    done = site.day(day(DAYS))
    assert done.committed
    assert "not pruned" in done.alarms[0]
    assert "disk reports an error" in done.alarms[0]
    assert site.next.is_dir()
    monkeypatch.undo()
    site.collect(day(DAYS + 1))
    assert not (site.state / "pruned").exists()
    assert not any(directory.chains.orphans for directory in site.catalog.directories)


def _no_disk(*_: object) -> None:
    raise OSError(5, "Input/output error")


# ---------------------------------------------------------------------------------------------------------------------
# What an administrator sees


def cya(*words: str | Path, now: str = LAST) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CYA, *words, "--now", now], capture_output=True, text=True, check=False)


def test_each_directory_is_printed_with_its_reason(site: Site) -> None:
    done = cya("prune", site.root, "--keep", "week=2", "--keep", "month=1", "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "keep 2000 all centuries are kept" in lines
    assert "keep 2000/2020/2026/2026-04/2026-04-05 week 1 of 2" in lines
    assert "delete 2000/2020/2026/2026-03/2026-03-01 not one of the newest 2 weeks" in lines
    assert "keep 2000/2020/2026/2026-03 holds 2026-03-29, which is kept" in lines
    assert any("to delete: 4 directories; 288.0 KiB come free" in line for line in lines), lines
    assert any("24 backups lost: 2026-03-02" in line for line in lines)
    assert any("17 backups left" in line for line in lines)


def test_json_says_all(site: Site) -> None:
    done = cya("prune", site.root, "--keep", "week=2", "--keep", "month=1", "--json")
    (facts,) = json.loads(done.stdout)
    assert facts["deleted"] is True
    assert facts["keep"] == {"week": 2, "month": 1}
    assert {each["action"] for each in facts["directories"]} == {"keep", "delete"}
    assert len(facts["lost"]) + len(facts["left"]) == DAYS
    assert facts["left"] == [backup["time"] for backup in json.loads(cya("list", site.root, "--json").stdout)]
    assert (facts["held"], facts["error"]) == ([], None)


def test_a_hold_ends_with_13_and_says_what_to_do(site: Site) -> None:
    done = cya("prune", site.root, "--keep", "week=1", now="2026-08-01")
    assert done.returncode == 13
    assert "cya: web1: not pruned: the last backup is of 2026-04-10" in done.stderr
    assert "cya prune --force" in done.stderr
    forced = cya("prune", site.root, "--keep", "week=1", "--force", now="2026-08-01")
    assert forced.returncode == 0
    assert "pruned in spite of the last backup is of" in forced.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--keep", "week"), "expected LEVEL=N"),
        (("--keep", "week=0"), "expected LEVEL=N with N from 1 up"),
        (("--keep", "week=-1"), "expected LEVEL=N"),
        (("--keep", "fortnight=2"), "there is no level 'fortnight'"),
        (("--keep", "week=2", "--keep", "week=3"), "named twice"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(site: Site, words: tuple[str, ...], message: str) -> None:
    before = site.listing()
    done = cya("prune", site.root, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert site.listing() == before


def test_a_level_that_the_tree_lacks_is_refused(site: Site) -> None:
    done = cya("prune", site.root, "--keep", "day=2")
    assert done.returncode == 1
    assert "there is no level 'day' in this tree" in done.stderr


def test_without_a_policy_all_is_kept_and_said(site: Site) -> None:
    done = cya("prune", site.root)
    assert done.returncode == 0
    assert "everything is kept: cya.toml has no keep" in done.stdout


def test_the_settings_policy_is_taken_and_the_command_line_stands_in_its_place(site: Site) -> None:
    settings(site, keep="{ week = 2, month = 1 }")
    (facts,) = json.loads(cya("prune", site.root, "--dry-run", "--json").stdout)
    assert facts["keep"] == {"week": 2, "month": 1}
    (facts,) = json.loads(cya("prune", site.root, "--dry-run", "--json", "--keep", "week=3").stdout)
    assert facts["keep"] == {"week": 3}


def test_one_run_at_a_time_and_a_dry_run_waits_for_nobody(site: Site) -> None:
    fd = os.open(site.state, os.O_RDONLY)
    with lock("lock", "busy", dir_fd=fd):
        with pytest.raises(Locked):
            prune_it(site)
        assert prune_it(site, dry_run=True).decided.going
    os.close(fd)


def test_a_root_that_is_none_does_not_stop_the_others(site: Site, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = cya("prune", tmp_path / "empty", site.root, "--keep", "week=2", "--keep", "month=1")
    assert done.returncode == 1
    assert "not an archive root" in done.stderr
    assert len(directories(site)) < 10
    with pytest.raises(ArchiveError):
        prune(tmp_path / "empty", at(LAST), KEEP)


def test_an_archive_of_one_week_in_years_is_as_good(site: Site) -> None:
    """The smallest policy leaves what the client goes on from, and the next backup needs no full."""
    smallest = dict.fromkeys(("century", "decade", "year", "month", "week"), 1)
    prune_it(site, keep=smallest)
    assert len(directories(site)) == 5
    site.day(day(DAYS))
    newest = site.catalog.backups[-1]
    assert not newest.increment.is_full
    assert newest.chain is not None
    shutil.rmtree(site.root / "backups/2000/2020/2026/2026-04")
    assert chains(site.catalog.tree[("2000",)]).orphans == ()


def test_a_hold_is_shown_by_status_until_it_is_over(site: Site) -> None:
    settings(site, keep="{ week = 2, month = 1 }", prune=True)
    site.day(day(DAYS), full=True)
    (facts,) = json.loads(cya("status", site.root, "--json", now=day(DAYS)).stdout)
    assert any(" hold an alarm of the last 14 days" in alarm for alarm in facts["alarms"])
    assert cya("prune", site.root, "--force", now=day(DAYS)).returncode == 0
    (facts,) = json.loads(cya("status", site.root, "--json", now=day(DAYS)).stdout)
    assert not any(" hold " in alarm for alarm in facts["alarms"])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_pruned(template: Path, tmp_path: Path) -> None:
    """Not even what is to be deleted can be written down first."""
    with small_file_system(tmp_path / "disk", megabytes=4) as disk:
        root = disk / "web1"
        copy_root(template, root)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1024)):
                pass
        with pytest.raises(OSError, match="No space"):
            (root / "another").write_text("x" * 8192)
        done = prune(root, at(LAST), KEEP)
        assert done.deleted
        assert not (root / "state/pruning.json").exists()
        assert len(Site(root).catalog.backups) == len(list((root / "state/ledger").iterdir())) < DAYS
        filler.unlink()
        assert Site(root).day(day(DAYS)).committed


def test_an_archive_of_2012_is_taken_over_first(tmp_path: Path) -> None:
    old = Root2012(tmp_path / "web1")
    old.collect("2012-12-04")
    old.day("2012-12-04")
    with pytest.raises(ArchiveError, match="take it over first: cya collect"):
        prune(old.root, at("2013-12-04"), KEEP)
    Site(old.root).collect("2012-12-05")
    assert prune(old.root, at("2012-12-05"), KEEP).decided.verdicts
