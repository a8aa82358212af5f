"""``incoming/next`` over SFTP: nothing is mixed, nothing foreign trusted. The engine is a stand-in, the rest real."""

from __future__ import annotations

import os
import pwd
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from cya.engine.protocol import BackupJob, Report, Watcher
from cya.errors import ArchiveError, Locked, NothingToDo
from cya.transport import session
from cya.transport.account import Account as Login
from cya.transport.trouble import Broken
from tests.standin import StandIn
from tests.transport.conftest import Account

FIRST, SECOND, THIRD = "2026-03-05T02:00:00", "2026-03-06T02:00:00", "2026-03-07T02:00:00"
FULL = "duplicity-full.20260305T020000Z"


def put(account: Account, name: str, text: str = "x") -> Path:
    """Write a file into next, as the client's user."""
    file = account.next / name
    file.write_text(text)
    user = pwd.getpwnam(account.user)
    os.chown(file, user.pw_uid, user.pw_gid)
    return file


def later(moment: str) -> str:
    return moment.replace("T02", "T03")


def test_increments_arrive_one_after_the_other(account: Account) -> None:
    for day in (FIRST, SECOND, THIRD):
        done = account.backup(day)
        assert len(done.names) == 4
        assert done.bytes == sum((account.next / name.decode()).stat().st_size for name in done.names)
        assert account.collect(later(day)) == 1


def identities(directory: Path) -> dict[str, tuple[int, int]]:
    """Number and ctime of each file: the number alone is given to the next file that is made."""
    return {file.name: (file.stat().st_ino, file.stat().st_ctime_ns) for file in directory.iterdir()}


def test_what_is_served_is_fetched_once_and_what_is_served_no_more_goes(account: Account) -> None:
    account.backup(FIRST)
    account.collect(later(FIRST))
    mirror = account.place / "cache" / "sftp" / "next"
    kept = identities(mirror)
    assert kept.keys() == {f"{FULL}.manifest.gpg", "duplicity-full-signatures.20260305T020000Z.sigtar.gpg"}
    (mirror / "duplicity-full.20200101T000000Z.manifest.gpg").touch()
    (mirror / f"{FULL}.manifest.gpg").write_text("another size, as after a power cut")
    with account.target().held():
        assert {file.name: file.read_bytes() for file in mirror.iterdir()} == {
            file.name: file.read_bytes() for file in account.next.iterdir()
        }
        now = identities(mirror)
    assert [name for name in kept if kept[name] != now[name]] == [f"{FULL}.manifest.gpg"]


def test_nothing_is_wanted_before_the_last_upload_is_collected_nor_without_next(account: Account) -> None:
    account.backup(FIRST)
    with pytest.raises(NothingToDo, match="has not collected the last upload yet"):
        account.backup(SECOND)
    account.next.rename(account.next.with_name("away"))
    with pytest.raises(NothingToDo, match=r"wants no upload now \(there is no incoming/next\)"):
        account.backup(SECOND)
    account.next.parent.rename(account.root / "away")
    with pytest.raises(ArchiveError, match="no archive root: it has no /incoming"):
        account.backup(SECOND)


def test_debris_of_any_kind_is_removed_first(account: Account) -> None:
    for name in (f".{FULL}.vol2.difftar.gpg.part", f"{FULL}.vol1.difftar.gpg", ".FINISHED.part", "junk.txt"):
        put(account, name)
    put(account, f"{FULL}.manifest.gpg")
    account.backup(SECOND)
    assert not [name for name in os.listdir(account.next) if "20260305" in name or "part" in name or "junk" in name]
    assert account.collect(later(SECOND)) == 1


@pytest.mark.parametrize("name", ["a b", "*", "-rf", 'quo"te', "new\nline", "back\\slash", "\x1b[2J", "ü" * 50])
def test_files_with_odd_names_are_named_and_left_alone(account: Account, name: str) -> None:
    odd, other = put(account, name), put(account, "other")
    with pytest.raises(ArchiveError, match=r"odd name|cannot be listed") as caught:
        account.backup(FIRST)
    assert str(caught.value).isprintable()
    assert odd.exists()
    assert other.exists()


def test_served_metadata_that_is_no_plain_file_is_refused(account: Account) -> None:
    for name in (f"{FULL}.manifest.gpg", "duplicity-full-signatures.20260305T020000Z.sigtar.gpg"):
        (account.next / name).symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match="is not a plain file"):
        account.backup(SECOND)


def test_a_directory_that_cannot_be_removed_is_named(account: Account) -> None:
    (account.next / "directory").mkdir()
    with pytest.raises(ArchiveError, match="'directory' in incoming/next cannot be removed"):
        account.backup(FIRST)


def test_served_metadata_larger_than_the_disk_is_refused_before_it_is_fetched(account: Account) -> None:
    for name in (f"{FULL}.manifest.gpg", "duplicity-full-signatures.20260305T020000Z.sigtar.gpg"):
        os.truncate(put(account, name), 1 << 43)
    with pytest.raises(ArchiveError, match="no space for the served chain"):
        account.backup(SECOND)


def test_two_uploads_of_a_user_exclude_each_other_whatever_their_caches(account: Account) -> None:
    with account.target().held():
        (account.place / "cache").rename(account.place / "another cache")
        with pytest.raises(Locked, match="another upload into this archive is under way"):
            account.backup(FIRST)
    account.backup(FIRST)


class Disturbed(StandIn):
    """An engine during whose work something happens in ``next``."""

    def __init__(self, account: Account, names: Iterable[str], *, when_delivered: bool = False) -> None:
        super().__init__(2)
        self.account, self.files, self.when_delivered = account, names, when_delivered

    def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
        report = super().backup(job, watch)
        assert job.spool is not None
        if self.when_delivered:
            volume = next(job.target.glob("*vol1*"))
            job.spool.deliver(volume, volume.name.encode())
            while not (self.account.next / volume.name).exists():
                job.spool.has_room(0.05)
        for name in self.files:
            put(self.account, name)
        return report


@pytest.mark.parametrize(
    ("names", "when_delivered"),
    [
        ([f"{FULL.replace('05T', '04T')}.vol1.difftar.gpg"], False),
        ([f"{FULL.replace('05T', '04T')}.vol1.difftar.gpg"], True),
        ([f"{FULL}.vol9.difftar.gpg"], True),
    ],
)
def test_files_of_another_upload_are_never_mixed_with_ours(
    account: Account, names: list[str], when_delivered: bool
) -> None:
    with pytest.raises(ArchiveError, match="somebody else uploads with this account"):
        account.backup(FIRST, engine=Disturbed(account, names, when_delivered=when_delivered))
    assert not (account.next / "FINISHED").exists()
    assert account.collect(later(FIRST)) == 0
    account.backup(SECOND)
    assert account.collect(later(SECOND)) == 1


def test_a_next_that_was_served_anew_meanwhile_gets_no_marker(account: Account) -> None:
    account.backup(FIRST)
    account.collect(later(FIRST))

    class Slow(StandIn):
        def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
            report = super().backup(job, watch)
            account.collect("2026-03-12T02:30:00")  # a new week
            served = next(file for file in account.next.iterdir())
            served.unlink()
            return report

    with pytest.raises(ArchiveError, match="it is not as it was"):
        account.backup("2026-03-12T02:00:00", engine=Slow(2))
    assert account.collect("2026-03-12T03:00:00") == 0


@pytest.mark.parametrize("done", [True, False], ids=["executed", "not executed"])
@pytest.mark.parametrize("collected", [True, False], ids=["collected meanwhile", "not yet"])
def test_a_marker_whose_fate_is_unknown_is_looked_for(
    account: Account, monkeypatch: pytest.MonkeyPatch, done: bool, collected: bool
) -> None:
    real, broken = session.run, False

    def run(login: Login, batch: Iterable[str], stop: threading.Event) -> bytes:
        nonlocal broken
        lines = list(batch)
        if broken or not any("FINISHED" in line for line in lines):
            return real(login, lines, stop)
        broken = True
        if done:
            real(login, lines, stop)
            if collected:
                assert account.collect(later(FIRST)) == 1
        raise Broken("the connection breaks before sftp has told us")

    monkeypatch.setattr(session, "run", run)
    account.backup(FIRST, give_up_after=1)
    if not (done and collected):
        assert account.collect(later(FIRST)) == 1
    assert "FINISHED" not in os.listdir(account.next)


@pytest.mark.parametrize("collected", [True, False], ids=["collected meanwhile", "not yet"])
def test_a_marker_whose_fate_stays_unknown_is_left_alone(
    account: Account, monkeypatch: pytest.MonkeyPatch, collected: bool
) -> None:
    real, broken = session.run, False

    def run(login: Login, batch: Iterable[str], stop: threading.Event) -> bytes:
        nonlocal broken
        lines = list(batch)
        if any("FINISHED" in line for line in lines):
            real(login, lines, stop)
            broken = True
            if collected:
                assert account.collect(later(FIRST)) == 1
        if broken:
            raise Broken("there is no connection any more")
        return real(login, lines, stop)

    monkeypatch.setattr(session, "run", run)
    with pytest.raises(ArchiveError, match="no connection any more") as caught:
        account.backup(FIRST)
    assert "whether the upload was handed over is not known" in caught.value.__notes__[-1]
    monkeypatch.undo()
    if not collected:
        assert account.collect(later(FIRST)) == 1
    assert len(os.listdir(account.next)) == 2, "what is served is not taken for debris"
    account.backup(SECOND)
    assert account.collect(later(SECOND)) == 1


def test_what_cannot_be_sent_stops_the_engine(account: Account) -> None:
    class Endless(StandIn):
        def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
            assert job.spool is not None
            report = super().backup(job, watch)
            account.next.rename(account.next.with_name("gone"))
            volume = next(job.target.glob("*vol1*"))
            job.spool.deliver(volume, volume.name.encode())
            for _ in range(1000):
                job.spool.has_room(0.05)
            return report

    with pytest.raises(ArchiveError, match="it is not as it was"):
        account.backup(FIRST, engine=Endless())
