"""A chain is lent for some time: what the client finds, whose it is, and how it ends."""

from __future__ import annotations

import errno
import json
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cya import catalog
from cya.archive import lent
from cya.archive.check.run import check
from cya.archive.collect import collect
from cya.archive.init import init_archive
from cya.archive.lend import Lent, lend
from cya.archive.return_loan import return_loan
from cya.archive.status import status
from cya.config.archive import parse_age
from cya.config.root import RootConfig
from cya.durable import lock
from cya.errors import ArchiveError, CyaError, IntegrityError, Locked
from cya.transport import loan as notes
from tests.archive.archive_of_2012 import Root2012
from tests.archive.conftest import Site, at, digest
from tests.archive.own_machine import CYA
from tests.hostile.villain import as_user
from tests.hostile.world import open_to_all

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives files to other users")

DAYS = ("2012-12-04", "2012-12-05", "2012-12-09", "2012-12-10")
NOW = "2012-12-11T12:00:00"
IN_TIME, OVER = "2012-12-13T11:59:59", "2012-12-13T12:00:00"
TWO_DAYS = timedelta(hours=48)
WEEK = "backups/2000/2010/2012/2012-12/2012-12-09/files"


@pytest.fixture
def lender(site: Site) -> Site:
    """A root with two weeks, each of two days."""
    for day in DAYS:
        site.day(day, volumes=2)
    return site


def lend_it(site: Site, time: str = NOW, duration: timedelta = TWO_DAYS, now: str = NOW) -> Lent:
    return lend(site.root, at(time), duration, at(now))


def place_of(site: Site, done: Lent) -> Path:
    return site.root / "outgoing" / done.loan.name


def note_in(place: Path) -> notes.Note:
    return notes.decode((place / "LOAN.json").read_bytes())


def nothing_is_lent(site: Site) -> bool:
    left = {"loans.json", "lending", "returned"} & set(os.listdir(site.state))
    return not left and not list((site.root / "outgoing").iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# What is lent


def test_a_loan_holds_one_chain_as_further_names_of_what_is_committed(lender: Site) -> None:
    done = lend_it(lender)
    place = place_of(lender, done)
    assert done.loan.name == "20121210T000000Z"
    chain = lender.catalog.backups[-1].chain
    assert chain is not None
    assert [each.end for each in chain.increments] == [int(at(day).timestamp()) for day in ("2012-12-04", *DAYS[2:])]
    expected = {os.fsdecode(name) for each in chain.increments for name in lender.catalog.merged[each].names}
    assert {path.name for path in place.iterdir()} == expected | {"LOAN.json"}
    committed = {path.stat().st_ino for path in lender.root.glob("backups/**/files/*")}
    assert {(place / name).stat().st_ino for name in expected} <= committed
    assert (done.files, done.bytes) == (len(expected), sum((place / name).stat().st_size for name in expected))


def test_a_loan_is_a_target_of_its_own_that_can_be_read_anywhere(lender: Site, tmp_path: Path) -> None:
    shutil.copytree(place_of(lender, lend_it(lender)), tmp_path / "fetched")
    found = catalog.read(tmp_path / "fetched")
    assert [backup.chain is not None for backup in found.backups] == [True] * 3
    assert found.backups[-1].increment == lender.catalog.backups[-1].increment


def test_the_note_tells_what_it_is_and_until_when(lender: Site) -> None:
    note = note_in(place_of(lender, lend_it(lender, "2012-12-05")))
    assert (note.time, note.expires) == (at("2012-12-05"), at(OVER))
    assert [(each.start, each.end) for each in note.chain] == [
        (None, at("2012-12-04")),
        (at("2012-12-04"), at("2012-12-05")),
    ]


@pytest.mark.parametrize(
    ("time", "found"),
    [("2012-12-04", "20121204"), ("2012-12-08", "20121205"), ("2012-12-09", "20121209"), ("2030-01-01", "20121210")],
)
def test_the_newest_backup_up_to_a_time_is_lent(lender: Site, time: str, found: str) -> None:
    assert lend_it(lender, time).loan.name == f"{found}T000000Z"


def test_what_is_not_there_or_not_whole_is_not_lent(lender: Site) -> None:
    with pytest.raises(ArchiveError, match=r"no backup from 2012-12-03.* or before; the first is 2012-12-04"):
        lend_it(lender, "2012-12-03")
    for path in lender.root.glob("backups/**/*inc*to.20121209*vol1*"):
        path.unlink()
    with pytest.raises(IntegrityError, match=r"is missing volume 1 of .*the newest before it that is whole is 2012-12"):
        lend_it(lender)
    assert nothing_is_lent(lender)


def test_there_is_nothing_to_lend_in_a_new_root(site: Site) -> None:
    with pytest.raises(ArchiveError, match="there are no backups here"):
        lend_it(site)


def test_an_archive_of_2012_is_taken_over_first(tmp_path: Path) -> None:
    old = Root2012(tmp_path / "web1")
    old.collect("2012-12-04")
    with pytest.raises(ArchiveError, match="take it over first: cya collect"):
        lend(old.root, at(NOW), TWO_DAYS, at(NOW))


def test_what_one_directory_lost_or_has_damaged_is_taken_from_another(lender: Site) -> None:
    lost, spoilt = sorted((lender.root / WEEK).glob("duplicity-full.*vol*"))
    lost.unlink()
    data = spoilt.read_bytes()
    spoilt.unlink()
    spoilt.write_bytes(b"x" * len(data))
    spoilt.chmod(0o440)
    assert check(lender.root, at(NOW)).damaged
    done = lend_it(lender)
    assert done.damaged == ()
    assert (place_of(lender, done) / spoilt.name).read_bytes() == data
    assert (place_of(lender, done) / lost.name).exists()


def test_what_is_damaged_everywhere_is_lent_and_named(lender: Site) -> None:
    volume = next((lender.root / WEEK).glob("duplicity-full.*vol1*"))
    volume.chmod(0o640)
    volume.write_bytes(b"x" * volume.stat().st_size)
    volume.chmod(0o440)
    assert check(lender.root, at(NOW)).damaged
    done = lend_it(lender)
    assert done.damaged == (volume.name,)
    assert (place_of(lender, done) / volume.name).exists()


def test_a_link_that_the_file_system_refuses_becomes_a_copy_that_ends_with_the_loan(
    lender: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuse)
        place = place_of(lender, lend_it(lender))
    for path in place.glob("duplicity-*"):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_nlink) == (0o440, 1)
        assert digest(path) in {digest(other) for other in lender.root.glob(f"backups/**/{path.name}")}
    assert check(lender.root, at(NOW)).findings == ()
    lender.collect(OVER)
    assert nothing_is_lent(lender)


def test_on_a_full_disk_nothing_of_a_loan_stays(lender: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("cya.archive.lend.link_or_copy", full)
        with pytest.raises(ArchiveError, match="the file system is full"):
            lend_it(lender)
    assert nothing_is_lent(lender)


def test_check_and_the_sizes_do_not_notice_a_loan(lender: Site) -> None:
    before = status(lender.root, at(NOW), parse_age("36h")).bytes
    lend_it(lender)
    lend_it(lender, "2012-12-05")
    assert check(lender.root, at(NOW)).findings == ()
    assert status(lender.root, at(NOW), parse_age("36h")).bytes == before
    lender.collect(OVER)
    assert check(lender.root, at(OVER)).findings == ()


def test_backups_go_on_while_a_chain_is_lent(lender: Site) -> None:
    place = place_of(lender, lend_it(lender))
    before = {path.name: digest(path) for path in place.iterdir()}
    assert len(lender.day("2012-12-12", volumes=2).committed) == 1
    assert len(lender.day("2012-12-13", full=True).committed) == 1
    shutil.rmtree(lender.root / WEEK)
    assert {path.name: digest(path) for path in place.iterdir()} == before


# ---------------------------------------------------------------------------------------------------------------------
# Whose it is


@needs_root
def test_only_root_may_change_a_loan_and_only_the_clients_group_may_read_it(lender: Site) -> None:
    games = pwd.getpwnam("games")
    settings = lender.root / "cya.toml"
    settings.write_text(settings.read_text() + '\nuser = "games"\n')
    shutil.rmtree(lender.root / "outgoing")
    os.mkdir(lender.root / "outgoing", 0o700)
    os.chown(lender.root / "outgoing", games.pw_uid, games.pw_gid)
    place = place_of(lender, lend_it(lender))
    expected = {lender.root / "outgoing": (0, 0, 0o755), place: (0, games.pw_gid, 0o750)}
    expected |= dict.fromkeys(place.iterdir(), (0, games.pw_gid, 0o440))
    for path, owner in expected.items():
        found = path.lstat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == owner, path


@needs_root
def test_files_of_2012_of_other_owners_modes_and_acls_are_put_right(tmp_path: Path) -> None:
    old = Root2012(tmp_path / "web1")
    old.collect(DAYS[0])
    for day in DAYS:
        old.day(day)
    games = pwd.getpwnam("games")
    for path in [old.incoming, *old.backups.glob("**/files/*")]:
        os.chown(path, games.pw_uid, games.pw_gid)
    for path in old.backups.glob("**/files/*vol1*"):
        path.chmod(0o664)
        with suppress(FileNotFoundError):
            subprocess.run(["setfacl", "-m", "u:games:rw", path], check=True)
    collect(old.root, at(DAYS[-1]))
    place = place_of(Site(old.root), lend_it(Site(old.root)))
    for path in place.iterdir():
        found = path.lstat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, games.pw_gid, 0o440), path
        assert not [name for name in os.listxattr(path) if "acl" in name]


@needs_root
def test_a_symbolic_link_among_the_backups_is_not_lent(lender: Site) -> None:
    for path in lender.root.glob("backups/**/duplicity-full.*vol1*"):
        path.unlink()
        path.symlink_to("/etc/shadow")
    with pytest.raises(CyaError):
        lend_it(lender)
    assert nothing_is_lent(lender)


def test_a_root_of_an_ordinary_user_works_the_same() -> None:
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())

    def act() -> None:
        site = Site(own / "web1")
        init_archive(site.root, RootConfig(index=True))
        for day in DAYS:
            site.day(day)
        place = place_of(site, lend_it(site))
        for path, mode in {place: 0o750, **dict.fromkeys(place.iterdir(), 0o440)}.items():
            assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (user.pw_uid, mode)
        assert len(lent.loans_of(site.root)) == 1
        assert check(site.root, at(NOW)).findings == ()
        lend_it(site, now=IN_TIME)
        assert site.collect(OVER).returned == []
        assert [loan.name for loan in return_loan(site.root, at(OVER))] == ["20121210T000000Z"]
        assert not place.exists()

    with open_to_all() as base:
        own = base / "own"
        own.mkdir()
        if os.geteuid() == 0:
            os.chown(own, user.pw_uid, user.pw_gid)
            as_user(user, act)
        else:
            act()


# ---------------------------------------------------------------------------------------------------------------------
# How it ends


def test_collect_takes_back_what_is_over_and_nothing_before(lender: Site) -> None:
    place = place_of(lender, lend_it(lender))
    before = lender.listing()
    assert lender.collect(IN_TIME).returned == []
    assert lender.listing() == before
    (said,) = lender.collect(OVER).returned
    assert said.startswith("the loan 20121210T000000Z has ended: it was lent until 2012-12-13")
    assert not place.exists()
    assert nothing_is_lent(lender)
    assert all(backup.chain for backup in lender.catalog.backups)


def _below_the_reserve(site: Site) -> None:
    shutil.rmtree(site.next)
    settings = site.root / "cya.toml"
    settings.write_text(settings.read_text().replace("reserve = 0", f"reserve = {1 << 50}"))


def _refused(site: Site) -> None:
    names = site.upload("2012-12-11")
    (site.next / names[0]).write_text("not what was announced")


def _malformed(site: Site) -> None:
    (site.state / "served.json").write_text("{")


def _not_a_plan(site: Site) -> None:
    (site.state / "plan.json").write_text("{")


def _no_user(site: Site) -> None:
    settings = site.root / "cya.toml"
    settings.write_text(settings.read_text() + '\nuser = "cyatest-gone"\n')


@pytest.mark.parametrize("state", [_below_the_reserve, _refused, _malformed, _not_a_plan, _no_user])
def test_whatever_else_is_wrong_with_a_root_what_is_over_is_taken_back(
    lender: Site, state: Callable[[Site], None]
) -> None:
    lend_it(lender)
    state(lender)
    with suppress(ArchiveError):
        lender.collect(OVER)
    assert nothing_is_lent(lender)


def test_a_deferred_upload_keeps_no_loan(lender: Site) -> None:
    lend_it(lender)
    lender.upload("2012-12-12")
    with next(lender.next.glob("*20121212*vol1*")).open("ab"):
        done = lender.collect(OVER)
    assert (len(done.deferred), len(done.returned)) == (1, 1)
    assert nothing_is_lent(lender)


def test_lent_again_it_lasts_until_the_new_time_and_says_so(lender: Site) -> None:
    first = lend_it(lender)
    inodes = {path.name: path.stat().st_ino for path in place_of(lender, first).glob("duplicity-*")}
    again = lend_it(lender, now="2012-12-12T12:00:00")
    assert (first.before, again.before) == (None, first.loan.expires)
    assert again.loan.name == first.loan.name
    place = place_of(lender, again)
    assert {path.name: path.stat().st_ino for path in place.glob("duplicity-*")} == inodes
    assert note_in(place).expires == at("2012-12-14T12:00:00")
    assert stat.S_IMODE((place / "LOAN.json").stat().st_mode) == 0o440
    assert len(lent.loans_of(lender.root)) == 1
    assert lender.collect(OVER).returned == []
    assert len(lender.collect("2012-12-14T12:00:00").returned) == 1


def test_a_loan_that_lost_a_file_is_lent_anew(lender: Site) -> None:
    place = place_of(lender, lend_it(lender))
    next(place.glob("*vol1*")).unlink()
    done = lend_it(lender)
    assert done.before is None
    assert len(list(place_of(lender, done).iterdir())) == done.files + 1
    assert len(list((lender.root / "outgoing").iterdir())) == 1


def test_each_loan_has_its_own_time(lender: Site) -> None:
    lend_it(lender)
    lend_it(lender, "2012-12-05", timedelta(minutes=30))
    assert [loan.name for loan in lent.loans_of(lender.root)] == ["20121205T000000Z", "20121210T000000Z"]
    assert len(lender.collect("2012-12-11T12:30:00").returned) == 1
    assert [path.name for path in (lender.root / "outgoing").iterdir()] == ["20121210T000000Z"]


def test_returned_it_is_gone_at_once(lender: Site) -> None:
    for time in ("2012-12-05", "2012-12-09", "2012-12-10"):
        lend_it(lender, time)
    assert [loan.name for loan in return_loan(lender.root, at(NOW), "20121209T000000Z")] == ["20121209T000000Z"]
    with pytest.raises(ArchiveError, match="20121209T000000Z is not lent; lent now: 20121205T000000Z, 20121210T"):
        return_loan(lender.root, at(NOW), "20121209T000000Z")
    assert len(return_loan(lender.root, at(NOW))) == 2
    assert nothing_is_lent(lender)
    assert return_loan(lender.root, at(NOW)) == []


def test_a_clock_that_is_set_back_behind_the_lending_ends_a_loan(lender: Site) -> None:
    lend_it(lender)
    assert lender.collect("2012-12-11T11:50:00").returned == []
    (said,) = lender.collect("2012-12-11T11:44:59").returned
    assert "the clock of the archive stands before 2012-12-11T12:00:00" in said
    assert nothing_is_lent(lender)


def test_a_loan_that_is_not_written_down_ends_and_what_is_no_loan_is_left_alone(lender: Site) -> None:
    lend_it(lender)
    (lender.state / "loans.json").unlink()
    (lender.root / "outgoing/by-hand").mkdir()
    (lender.root / "outgoing/20121210T000000Z-2").symlink_to("/etc")
    lender.collect(NOW)
    assert [path.name for path in (lender.root / "outgoing").iterdir()] == ["by-hand"]
    assert Path("/etc/passwd").exists()


def test_where_the_record_cannot_be_read_everything_lent_ends(lender: Site) -> None:
    lend_it(lender)
    (lender.state / "loans.json").write_text("[")
    with pytest.raises(ArchiveError, match=r"loans\.json: malformed: .*; collect, which takes back all that is lent"):
        lent.loans_of(lender.root)
    lender.collect(NOW)
    assert nothing_is_lent(lender)


def test_a_loan_that_was_deleted_by_hand_is_forgotten(lender: Site) -> None:
    shutil.rmtree(place_of(lender, lend_it(lender)))
    (said,) = lender.collect(NOW).returned
    assert "it is not there any more" in said
    assert nothing_is_lent(lender)


@needs_root
def test_a_loan_ends_when_the_client_is_another_user(lender: Site) -> None:
    lend_it(lender)
    settings = lender.root / "cya.toml"
    settings.write_text(settings.read_text() + '\nuser = "games"\n')
    (said,) = lender.collect(NOW).returned
    assert "the client is another user or group now" in said
    assert nothing_is_lent(lender)


def test_the_log_tells_of_each_loan(lender: Site) -> None:
    lend_it(lender)
    lender.collect(OVER)
    lines = (lender.state / "log").read_text().splitlines()
    assert "2012-12-11T12:00:00Z lend 2012-12-10T00:00:00Z loan=20121210T000000Z until=2012-12-13T12:00:00Z" in lines
    assert [line for line in lines if line.startswith("2012-12-13T12:00:00Z return it was lent until 2012-12-13T")]


def test_nothing_is_lent_while_another_run_is_at_work(lender: Site) -> None:
    with lock(str(lender.state / "lock"), "busy"):
        with pytest.raises(Locked):
            lend_it(lender)
        assert lent.loans_of(lender.root) == ()


# ---------------------------------------------------------------------------------------------------------------------
# The verbs


def cya(*words: str | Path, now: str = NOW) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CYA, *words, "--now", f"{now}Z"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TZ": "UTC"},
    )


@pytest.fixture
def config(lender: Site, tmp_path: Path) -> Path:
    file = tmp_path / "archive.toml"
    file.write_text(f'roots = ["{tmp_path}/web*"]\n')
    file.chmod(0o600)
    return file


def test_a_client_is_lent_to_by_its_name_and_what_is_lent_is_listed_and_returned(lender: Site, config: Path) -> None:
    assert cya("lend", "--list", "--config", config).stdout == "Nothing is lent.\n"
    done = cya("lend", "web1", "--config", config, "--time", "2012-12-05")
    assert (done.returncode, done.stderr) == (0, "")
    assert "web1 may read the backup of 2012-12-05T00:00:00+00:00 until 2012-12-13T12:00:00+00:00." in done.stdout
    assert "in outgoing/20121205T000000Z" in done.stdout
    again = cya("lend", "web1", "--config", config, "--time", "2012-12-05", "--for", "3d")
    assert "until 2012-12-14T12:00:00+00:00 (and was until 2012-12-13T12:00:00+00:00)" in again.stdout
    listed = cya("lend", "--list", "--config", config).stdout.splitlines()
    assert listed[1].split() == [
        "web1",
        "20121205T000000Z",
        "2012-12-05T00:00:00+00:00",
        "2",
        "2012-12-14T12:00:00+00:00",
    ]
    assert (
        "over: collect takes it back"
        in cya("lend", "--list", "web1", "--config", config, now="2013-01-01T00:00:00").stdout
    )
    returned = cya("return", "web1", "20121205T000000Z", "--config", config)
    assert returned.stdout == "web1 can read the backup of 2012-12-05T00:00:00+00:00 no more.\n"
    assert cya("return", "web1", "--config", config).stdout == "Nothing is lent to web1.\n"
    assert cya("return", "web1", "x", "--config", config).returncode == 1


def test_a_broken_root_does_not_hide_the_loans_of_others(lender: Site, config: Path, tmp_path: Path) -> None:
    lend_it(lender)
    (tmp_path / "web0").mkdir()
    done = cya("lend", "--list", "--config", config)
    assert done.returncode == 1
    assert "20121210T000000Z" in done.stdout
    assert f"{tmp_path}/web0: not an archive root" in done.stderr


def test_json_says_the_same(lender: Site, config: Path) -> None:
    expected = {
        "client": "web1",
        "loan": "20121210T000000Z",
        "path": f"{lender.root}/outgoing/20121210T000000Z",
        "time": "2012-12-10T00:00:00Z",
        "chain_length": 3,
        "lent": "2012-12-11T12:00:00Z",
        "expires": "2012-12-11T12:30:00Z",
        "over": False,
    }
    done = json.loads(cya("lend", lender.root, "--for", "30m", "--json").stdout)
    assert (done.pop("files"), done.pop("bytes") > 0) == (12, True)
    assert done == expected
    assert json.loads(cya("lend", "--list", "--config", config, "--json").stdout) == [expected]
    assert json.loads(cya("lend", lender.root, "--list", "--json", now=OVER).stdout) == [{**expected, "over": True}]


def test_status_and_collect_tell_of_loans(lender: Site) -> None:
    lend_it(lender)
    found = cya("status", lender.root)
    assert "; 1 lent" in found.stdout
    told = "web1: the backup of 2012-12-10T00:00:00+00:00 is lent until 2012-12-13T12:00:00+00:00"
    assert told in found.stdout.splitlines()
    (facts,) = json.loads(cya("status", lender.root, "--json").stdout)
    assert facts["loans"] == [
        {"loan": "20121210T000000Z", "time": "2012-12-10T00:00:00Z", "expires": "2012-12-13T12:00:00Z"}
    ]
    (collected,) = json.loads(cya("collect", lender.root, "--json", now=OVER).stdout)
    assert len(collected["returned"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["lend"], 2, "give the NAME of the client to lend to, or --list"),
        (["lend", "web2", "--config", "{config}"], 2, "no root there is called web2 (there: web1)"),
        (["lend", "web1", "--config", "{config}", "--for", "forever"], 2, "expected a duration such as 30m, 48h or 7d"),
        (["lend", "web1", "--config", "{config}", "--for", "0h"], 2, "expected a duration such as 30m, 48h or 7d"),
        (["lend", "web1", "--config", "{config}", "--for", "367d"], 2, "366d at most"),
        (["lend", "web1", "--config", "{config}", "--time", "1D"], 0, ""),
        (["lend", "web1", "--config", "{config}", "--time", "2012-12-03"], 1, "the first is 2012-12-04"),
        (["lend", "{tmp}/nowhere"], 1, "not an archive root"),
        (["return", "web1", "20121210T000000Z", "--config", "{config}"], 1, "is not lent; lent now: nothing"),
    ],
)
def test_the_verbs_say_what_is_wrong(config: Path, tmp_path: Path, words: list[str], code: int, reason: str) -> None:
    done = cya(*(word.format(config=config, tmp=tmp_path) for word in words))
    assert done.returncode == code, done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
