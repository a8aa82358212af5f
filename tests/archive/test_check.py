"""Damage of every kind, done to a real tree: each is found and named, and what it means for which backups."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cya.archive.check import hashes, look
from cya.archive.check import run as checking
from cya.cli.app import app_for
from cya.cli.run import run
from tests.archive.check_site import (
    INC_8,
    MONTH,
    NEXT_WEEK,
    NOW,
    WEEK,
    damage,
    files,
    flip,
    rewrite,
    run_check,
    short_pauses,
    site,
    template,
    the,
    told,
)

__all__ = ["short_pauses", "site", "template"]
from tests.archive.conftest import Site, at


def snapshot(top: Path) -> list[tuple[object, ...]]:
    def facts(path: Path) -> tuple[object, ...]:
        found = path.lstat()
        return str(path), found.st_ino, found.st_mode, found.st_uid, found.st_size, found.st_mtime_ns, found.st_atime_ns

    return [facts(path) for path in sorted([top, *top.rglob("*")])]


def test_an_undamaged_tree_of_sixty_days_gives_nothing_and_is_not_changed(tmp_path: Path) -> None:
    from cya.archive.init import init_archive
    from cya.config.root import RootConfig

    root = tmp_path / "web1"
    init_archive(root, RootConfig())
    fresh = Site(root)
    for day in range(60):
        fresh.day((at("2012-11-20") + timedelta(days=day)).replace(tzinfo=None).isoformat())
    for path in [root / "backups", *(root / "backups").rglob("*")]:
        os.utime(path, (1, path.lstat().st_mtime))  # a time of access that any reading would move
    before = snapshot(root / "backups")
    result = run_check(fresh, now="2013-02-01")
    assert result.findings == ()
    assert (result.outcome.unrestorable, result.outcome.incomplete) == ((), {})
    assert (len(result.progress.whole), result.progress.unread) == (60, [])
    assert result.progress.reading.files == 60 * 3  # each once, though it lies in up to five directories
    assert [line for line in snapshot(root / "backups") if not Path(str(line[0])).is_dir()] == [
        line for line in before if not Path(str(line[0])).is_dir()
    ]
    assert [line[:-1] for line in snapshot(root / "backups")] == [line[:-1] for line in before]
    assert not (root / "state/damage.json").exists()


CONTENT = {
    "flipped-byte": lambda path: rewrite(path, flip),
    "truncated": lambda path: rewrite(path, lambda data: data[:-3]),
    "longer": lambda path: rewrite(path, lambda data: data + b"x"),
}


@pytest.mark.parametrize("change", CONTENT.values(), ids=CONTENT)
@pytest.mark.parametrize("file", [f"{INC_8}.vol1*", "duplicity-new-*.to.20121208T*.sigtar*", f"{INC_8}.manifest*"])
def test_a_changed_file_is_named_with_the_backups_that_are_lost(
    site: Site, file: str, change: Callable[[Path], None]
) -> None:
    victim = the(site, WEEK, file)
    change(victim)
    result = run_check(site)
    assert damage(result) == [("hash", victim.name)]
    assert "its SHA-256 is" in result.findings[0].message
    assert told(result).splitlines() == [
        "backups of 2012-12-08 cannot be restored; 2012-12-09 and later can",
        f"backups/{WEEK}/files is not complete on its own: it cannot restore the backups of 2012-12-08",
    ]


def test_the_full_is_in_every_directory_and_all_is_lost_with_it(site: Site) -> None:
    rewrite(the(site, MONTH, "duplicity-full.*.vol2.*"), flip)
    result = run_check(site)
    assert len(damage(result)) == 1  # one file, though six directories hold it
    assert f"the same file in 2000/2010, 2000/2010/2012, {MONTH}, {WEEK}, {NEXT_WEEK}" in result.findings[0].message
    assert told(result).splitlines()[0] == (
        "backups from 2012-12-04 to 2012-12-13 cannot be restored; that is all of them"
    )
    assert len(result.outcome.incomplete) == 6


def test_the_middle_of_a_week_takes_the_rest_of_the_week(site: Site) -> None:
    rewrite(the(site, WEEK, "*.to.20121206T000000Z.vol1*"), flip)
    assert told(run_check(site)).startswith(
        "backups from 2012-12-06 to 2012-12-08 cannot be restored; 2012-12-09 and later can"
    )


def test_the_end_of_the_newest_chain(site: Site) -> None:
    rewrite(the(site, NEXT_WEEK, "*.to.20121212T000000Z.vol1*"), flip)
    assert told(run_check(site)).startswith(
        "backups from 2012-12-12 to 2012-12-13 cannot be restored; the newest that can is that of 2012-12-11"
    )


@pytest.mark.parametrize("file", [f"{INC_8}.vol1*", f"{INC_8}.vol2*", "*to.20121208T*.sigtar*", f"{INC_8}.manifest*"])
def test_a_missing_file(site: Site, file: str) -> None:
    victim = the(site, WEEK, file)
    victim.unlink()
    result = run_check(site)
    assert damage(result) == [("missing", victim.name)]
    assert "backups of 2012-12-08 cannot be restored; 2012-12-09 and later can" in told(result)


def test_a_file_that_one_directory_lacks_is_taken_from_another(site: Site) -> None:
    victim = the(site, NEXT_WEEK, "duplicity-full.*.vol1.*")
    victim.unlink()
    result = run_check(site)
    assert damage(result) == [("missing", victim.name)]
    assert told(result) == (
        f"backups/{NEXT_WEEK}/files is not complete on its own: it cannot restore the backups of 2012-12-04, "
        "from 2012-12-09 to 2012-12-13; other directories have what is missing"
    )


def test_two_files_exchanged(site: Site) -> None:
    one, other = the(site, WEEK, f"{INC_8}.vol1*"), the(site, WEEK, f"{INC_8}.vol2*")
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)
    result = run_check(site)
    assert damage(result) == [("hash", one.name), ("hash", other.name)]
    assert f"holds what {other.name} should hold" in next(f for f in result.findings if one.name in f.path).message


def test_links_exchanged_in_one_directory_only(site: Site) -> None:
    one, other = the(site, WEEK, "duplicity-full.*.vol1*"), the(site, WEEK, "duplicity-full.*.vol2*")
    spare = one.with_name("spare")
    one.rename(spare)
    other.rename(one)
    spare.rename(other)
    result = run_check(site)
    assert ("hash", one.name) in damage(result)
    assert result.outcome.unrestorable == ()
    assert [period[-1] for period in result.outcome.incomplete] == ["2012-12-02"]


def test_an_empty_file(site: Site) -> None:
    victim = the(site, WEEK, f"{INC_8}.vol1*")
    rewrite(victim, lambda _: b"")
    result = run_check(site)
    assert damage(result) == [("empty", victim.name)]
    assert "backups of 2012-12-08 cannot be restored" in told(result)


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc/passwd"), Path.mkdir, lambda p: os.mkfifo(p)])
def test_something_else_in_place_of_a_file(site: Site, make: Callable[[Path], None]) -> None:
    victim = the(site, WEEK, f"{INC_8}.vol1*")
    victim.unlink()
    make(victim)
    result = run_check(site)
    assert damage(result) == [("not-a-file", victim.name)]
    assert "backups of 2012-12-08 cannot be restored" in told(result)


def test_extra_files_and_directories(site: Site) -> None:
    junk = [
        files(site, WEEK) / "junk",
        files(site, WEEK) / "duplicity-inc.20121207T000000Z.to.20121208T000000Z.vol3.difftar.gpg",
        files(site, MONTH) / "duplicity-full.20121204T000000Z.manifest.gpg\n",
        site.root / "backups/2000/junk",
        site.root / "backups" / MONTH / "2012-12-03",  # a Monday
        site.root / "backups/files",
    ]
    for path in junk[:3]:
        path.write_text("x")
        path.chmod(0o440)
    for path in junk[3:]:
        path.mkdir()
    result = run_check(site)
    assert {kind for kind, _ in damage(result)} == {"foreign"}
    assert len(damage(result)) == 6
    assert told(result) == ""


def test_modes(site: Site) -> None:
    victim = the(site, WEEK, f"{INC_8}.vol1*")
    victim.chmod(0o640)
    files(site, MONTH).chmod(0o755)
    (site.root / "backups").chmod(0o755)
    result = run_check(site)
    assert damage(result) == [("mode", "backups"), ("mode", victim.name), ("mode", "files")]
    assert "0640 and should have 0440" in next(f.message for f in result.findings if victim.name in f.path)
    assert told(result) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners(site: Site) -> None:
    victim, other = the(site, WEEK, f"{INC_8}.vol1*"), the(site, WEEK, f"{INC_8}.vol2*")
    os.chown(victim, 65534, -1)
    os.chown(other, -1, 65534)
    os.chown(site.root / "backups" / MONTH, 65534, -1)
    assert damage(run_check(site)) == [("owner", "2012-12"), ("owner", victim.name), ("owner", other.name)]


def test_a_hard_link_from_outside(site: Site, tmp_path: Path) -> None:
    victim = the(site, WEEK, f"{INC_8}.vol1*")
    os.link(victim, tmp_path / "outside")
    result = run_check(site)
    assert damage(result) == [("links", victim.name)]
    assert "has 2 names, and 1 are known" in result.findings[0].message
    assert told(result) == ""


def test_names_in_the_clients_next_in_quarantine_and_in_loans_are_known(site: Site) -> None:
    manifest = the(site, WEEK, "duplicity-full.*manifest*")
    for place in ("outgoing/loan", "state/quarantine/20121204T000000Z/files", "incoming/next/moved"):
        (site.root / place).mkdir(parents=True)
        os.link(manifest, site.root / place / "x")
    assert run_check(site).findings == ()


def test_a_copy_is_sound_and_only_noted(site: Site) -> None:
    victim = the(site, WEEK, "duplicity-full.*.vol1*")
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data)
    victim.chmod(0o440)
    result = run_check(site)
    assert [(f.kind, f.damage) for f in result.findings] == [("copy", False)]
    assert not result.damaged


def test_a_damaged_copy_is_told_from_the_good_one(site: Site) -> None:
    victim = the(site, WEEK, "duplicity-full.*.vol1*")
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(flip(data))
    victim.chmod(0o440)
    result = run_check(site)
    assert damage(result) == [("hash", victim.name)]
    assert result.outcome.unrestorable == ()
    assert [period[-1] for period in result.outcome.incomplete] == ["2012-12-02"]


def test_a_missing_ledger_entry_is_told_once_and_then_written(site: Site) -> None:
    entry = next((site.state / "ledger").glob("*to.20121208T*"))
    kept = entry.read_bytes()
    entry.unlink()
    result = run_check(site)
    assert damage(result) == [("ledger", entry.name)]
    assert [f.kind for f in result.findings if not f.damage] == ["recorded"]
    assert entry.read_bytes() == kept
    assert run_check(site).findings == ()


@pytest.mark.parametrize(
    "change", [lambda _: b"", lambda d: d[:-1], lambda d: b"x" + d, lambda d: d.split(b"\n")[0] + b"\n"]
)
def test_a_malformed_ledger_entry(site: Site, change: Callable[[bytes], bytes]) -> None:
    entry = next((site.state / "ledger").glob("*to.20121208T*"))
    rewrite(entry, change)
    result = run_check(site)
    assert damage(result) == [("ledger", entry.name)]
    assert told(result) == ""


def test_a_directory_that_is_missing_as_a_whole(site: Site) -> None:
    shutil.rmtree(files(site, MONTH))
    result = run_check(site)
    assert damage(result) == [("missing", "files")]
    assert f"backups/{MONTH}/files" in result.findings[0].path
    assert result.outcome.unrestorable == ()  # the weeks are complete on their own


def test_a_gap_in_a_chain(site: Site) -> None:
    for path in files(site, WEEK).glob("*.to.20121206T000000Z.*"):
        path.unlink()
    result = run_check(site)
    assert ("gap", "files") in damage(result)
    assert ("lost", "ledger") in damage(result)
    assert told(result).startswith("backups from 2012-12-06 to 2012-12-08 cannot be restored; 2012-12-09")


def test_the_last_backups_of_a_directory_are_missed_by_the_ledger(site: Site) -> None:
    for day in ("12", "13"):
        for path in files(site, NEXT_WEEK).glob(f"*.to.201212{day}T000000Z.*"):
            path.unlink()
    result = run_check(site)
    assert damage(result) == [("lost", "ledger"), ("lost", "ledger")]
    assert "from 2012-12-12 to 2012-12-13 cannot be restored" in told(result)


def test_periods_that_were_deleted_by_hand_are_no_damage(site: Site) -> None:
    shutil.rmtree(files(site, WEEK).parent)
    result = run_check(site)
    assert [(f.kind, f.damage) for f in result.findings] == [("pruned", False)]
    assert result.outcome.unrestorable == ()


def test_a_period_that_is_deleted_while_it_is_read_is_no_damage(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:

    real = hashes._hash

    def deleting(fd: int, done: hashes.Reading) -> str:
        if done.files == 3:
            shutil.rmtree(files(site, WEEK).parent)
        return real(fd, done)

    monkeypatch.setattr(hashes, "_hash", deleting)
    assert not run_check(site).damaged


@pytest.mark.parametrize("moment", range(0, 12, 3))
def test_a_collect_that_commits_meanwhile_is_no_damage(
    site: Site, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """It needs no lock that the check holds, and what it changes is looked at again."""

    real, count = look._list, 0

    def listing(fd: int) -> Iterator[object]:
        nonlocal count
        count += 1
        if count == 2 + moment:
            site.upload("2012-12-16")
            assert len(site.collect("2012-12-16").committed) == 1
        return real(fd)

    site.collect("2012-12-16")  # serves a new week
    monkeypatch.setattr(look, "_list", listing)
    assert run_check(site).findings == ()
    assert count > 2 + moment


def test_a_collect_that_was_killed_is_no_damage(site: Site) -> None:
    from tests.archive.test_kill_at_every_step import killed_at

    for step in range(1, 400):
        scratch = Site(site.root.parent / f"copy{step}" / "web1")
        shutil.copytree(site.root, scratch.root, symlinks=True)
        shutil.rmtree(scratch.next)
        scratch.collect("2012-12-16")
        scratch.upload("2012-12-16")
        killed = killed_at(step, lambda: scratch.collect("2012-12-16"))  # noqa: B023
        assert not run_check(scratch).damaged, step
        shutil.rmtree(scratch.root)
        if not killed:
            break


def test_the_command_names_damage_and_exits_with_13(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(app_for(["check"]), ["check", str(site.root), "--now", NOW]) == 0
    assert capfd.readouterr() == ("", "")
    victim = the(site, WEEK, f"{INC_8}.vol1*")
    rewrite(victim, flip)
    assert run(app_for(["check"]), ["check", str(site.root), "--now", NOW]) == 13
    out, err = capfd.readouterr()
    assert out == ""
    assert f"cya: web1: backups/{WEEK}/files/{victim.name}: is damaged" in err
    assert "cya: web1: backups of 2012-12-08 cannot be restored; 2012-12-09 and later can" in err
    assert run(app_for(["check"]), ["check", str(site.root), "--json", "--now", NOW]) == 13
    (facts,) = json.loads(capfd.readouterr().out)
    assert facts["unrestorable"] == ["2012-12-08T00:00:00Z"]
    assert facts["findings"][0]["path"].endswith(victim.name)
    assert (facts["backups"], facts["read"]["increments"], facts["unread"]) == (10, 10, 0)


@pytest.mark.parametrize("text", ["", "soon", "1x", "-3s", "30"])
def test_a_duration_that_cannot_be_read(site: Site, text: str) -> None:
    assert run(app_for(["check"]), ["check", str(site.root), "--max-duration", text]) == 2


def test_an_error_of_one_root_stops_no_other(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    rewrite(the(site, WEEK, f"{INC_8}.vol1*"), flip)
    assert run(app_for(["check"]), ["check", str(site.root.parent / "web9"), str(site.root), "--now", NOW]) == 13
    err = capfd.readouterr().err
    assert "web9: not an archive root" in err
    assert "2012-12-08" in err


def test_two_checks_never_run_at_once_on_a_root(site: Site) -> None:
    from cya.archive.root import open_root
    from cya.errors import Locked

    with open_root(site.root, checking.LOCK), pytest.raises(Locked):
        run_check(site)
    with open_root(site.root):  # a collect is no obstacle
        assert run_check(site).findings == ()
