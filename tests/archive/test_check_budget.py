"""A check with a time budget gets around; the record of what was read is bounded and does no harm when it is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cya.archive.check import hashes, reading
from cya.cli.app import app_for
from cya.cli.check import seconds
from cya.cli.run import run
from tests.archive.archive_of_2012 import Root2012
from tests.archive.check_site import (
    DAYS,
    INC_8,
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
)
from tests.archive.conftest import Site

__all__ = ["short_pauses", "site", "template"]

FILES = 4 * len(DAYS)


class Reads:
    """Counts what is read, and lets the time be up after a number of files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        real = hashes._hash

        def counted(fd: int, done: hashes.Reading) -> str:
            self.names.append(Path(f"/proc/self/fd/{fd}").readlink().name)
            return real(fd, done)

        monkeypatch.setattr(hashes, "_hash", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time be up after half of the files, in the middle of an increment."""

    real = hashes.read

    def limited(wanted, backups, ledger, done, enough):  # type: ignore[no-untyped-def]
        return real(wanted, backups, ledger, done, lambda: done.files >= FILES // 2 + 1)

    monkeypatch.setattr(reading, "read", limited)


def test_two_runs_that_each_have_time_for_half_get_around_everything(site: Site, half: None, reads: Reads) -> None:
    first = run_check(site, now="2012-12-20")
    assert len(first.progress.whole) == 5
    assert len(first.progress.unread) == 5
    second = run_check(site, now="2012-12-21")
    assert len(reads.names) == len(first.progress.whole) * 4 + 1 + second.progress.reading.files
    assert set(reads.names) == {path.name for path in site.root.glob("backups/**/*.gpg")}
    assert len(reads.names[:FILES]) == len(set(reads.names[:FILES]))  # nothing twice before everything was read once
    assert first.progress.oldest is not None
    assert second.progress.oldest is not None
    assert second.progress.oldest > first.progress.oldest


def test_without_any_time_one_file_is_read_each_time(site: Site, reads: Reads) -> None:
    for _ in range(FILES):
        assert run_check(site, budget=0).progress.reading.files == 1
    assert len(set(reads.names)) == FILES


def test_known_damage_is_told_until_it_is_repaired_and_read_first(site: Site, reads: Reads) -> None:
    victim = the(site, WEEK, f"{INC_8}.vol1*")
    kept = victim.read_bytes()
    rewrite(victim, flip)
    assert damage(run_check(site)) == [("hash", victim.name)]
    reads.names.clear()
    assert damage(run_check(site, budget=0, now="2012-12-21")) == [("hash", victim.name)]
    assert reads.names[0] == victim.name
    rewrite(victim, lambda _: kept)
    assert run_check(site, budget=0, now="2012-12-22").findings == ()
    assert not (site.state / "damage.json").exists()


@pytest.mark.parametrize("text", ["", "{", '{"read": 3}'])
def test_a_record_that_cannot_be_read_is_begun_anew(site: Site, text: str) -> None:
    run_check(site)
    (site.state / "checked.json").write_text(text)
    assert len(run_check(site).progress.whole) == len(DAYS)


def test_the_record_forgets_what_is_deleted(site: Site) -> None:
    import shutil

    run_check(site)
    before = (site.state / "checked.json").read_text().count(".sha256")
    shutil.rmtree(files(site, WEEK).parent)
    run_check(site)
    assert (before, (site.state / "checked.json").read_text().count(".sha256")) == (10, 6)


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400)])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_the_time_is_shared_between_roots(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from cya.archive.check import run as checking
    from tests.archive.conftest import at

    budgets: list[float] = []

    def check(path: Path, now: object, budget: float) -> checking.Result:
        budgets.append(budget)
        return checking.Result(path)

    monkeypatch.setattr(checking, "check", check)
    checking.check_all([site.root] * 3, at(NOW), 90)
    assert [round(budget) for budget in budgets] == [30, 45, 90]


def test_a_file_that_the_disk_cannot_read_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = hashes._hash

    def failing(fd: int, done: hashes.Reading) -> str:
        if "20121208T" in Path(f"/proc/self/fd/{fd}").readlink().name and ".vol1." in os.readlink(
            f"/proc/self/fd/{fd}"
        ):
            raise OSError(5, "Input/output error")
        return real(fd, done)

    monkeypatch.setattr(hashes, "_hash", failing)
    result = run_check(site)
    assert damage(result) == [("hash", the(site, WEEK, f"{INC_8}.vol1*").name)]
    assert "cannot be read: Input/output error" in result.findings[0].message


def test_an_adopted_archive_gets_its_hashes_at_the_first_check(tmp_path: Path) -> None:
    old = Root2012(tmp_path / "web1")
    for day in ("2012-12-04", "2012-12-05", "2012-12-10"):
        old.collect(day)
        old.upload(day, volumes=2)
        old.collect(day)
    adopted = Site(old.root)
    assert run(app_for(["check"]), ["check", str(old.root)]) == 1  # it has not been taken over yet
    adopted.collect("2012-12-11")
    first = run_check(adopted)
    assert not first.damaged
    assert [finding.kind for finding in first.findings] == ["recorded"]
    assert len(first.recorded) == 3
    assert run_check(adopted).findings == ()
    victim = next(old.root.glob("backups/**/*.vol2.*"))
    rewrite(victim, flip)
    victim.chmod(0o444)
    assert damage(run_check(adopted)) == [("hash", victim.name)]


def test_hashes_are_not_written_down_where_two_files_of_a_name_differ(site: Site) -> None:
    for entry in (site.state / "ledger").glob("full.*"):
        entry.unlink()
    victim = the(site, WEEK, "duplicity-full.*.vol1*")
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(flip(data))
    victim.chmod(0o440)
    result = run_check(site)
    assert [
        finding.message for finding in result.findings if "no ledger entry to tell which is right" in finding.message
    ]
    assert result.recorded == []
    assert len(result.outcome.unrestorable) == len(DAYS)
