"""Bad input and faults: each ends with a clear message and the right exit code; nothing is half committed or lost."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e import days
from tests.e2e.conftest import Host, picture
from tests.mounts import small_file_system

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def used(newest: Host) -> Host:
    """A host with two backups."""
    days.begin(newest.source)
    return with_two_backups(newest)


@pytest.fixture
def used_by_stock(newest: Host) -> Host:
    """The same, with stock duplicity as the engine."""
    newest.engine = "duplicity"
    days.begin(newest.source)
    return with_two_backups(newest)


def with_two_backups(host: Host) -> Host:
    host.init()
    host.backup("2019-12-28")
    days.live(host.source, 1)
    host.backup("2019-12-29")
    return host


def large(host: Host, megabytes: int = 60) -> None:
    """Make a backup last some seconds."""
    chance = random.Random(1)
    for number in range(megabytes):
        (host.source / f"large {number}").write_bytes(chance.randbytes(1 << 20))


def test_no_duplicity(used_by_stock: Host) -> None:
    used = used_by_stock
    used.config.write_text(used.config.read_text().replace(str(used.duplicity), "/nowhere/duplicity"))
    assert "duplicity" in used.backup("2019-12-30", status=1).stderr
    assert len(used.list()) == 2


@needs_root
def test_no_gpg(used_by_stock: Host) -> None:
    """In a mount namespace of its own, in which gpg is no program."""
    used = used_by_stock
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespaces here (in a chroot, say)")
    hide = 'mount --bind /dev/null /usr/bin/gpg && exec "$@"'
    used.wrapper = ["unshare", "--mount", "sh", "-c", hide, "sh"]
    message = used.backup("2019-12-30", status=1).stderr
    used.wrapper = []
    assert "gpg" in message
    assert "gnupg" in message
    assert len(used.list()) == 2


def test_a_wrong_passphrase_at_restore(used: Host) -> None:
    wrong = used.place / "wrong"
    wrong.write_text("not the passphrase\n")
    wrong.chmod(0o600)
    ran = used.run("restore", used.place / "out", "--from", used.root, "--passphrase-file", wrong, status=1)
    assert "passphrase" in ran.stderr


def test_a_time_before_the_first_backup(used: Host) -> None:
    ran = used.run("restore", used.place / "out", "--config", used.config, "--time", "2019-12-01", status=1)
    assert "the first is 2019-12-28T00:00:00+00:00" in ran.stderr


def test_a_path_that_is_not_in_the_backup(used: Host) -> None:
    ran = used.run("restore", used.place / "out", "--config", used.config, "--path", "etc/nothing", status=1)
    assert "etc/nothing" in ran.stderr


def test_a_path_outside_of_the_source(used: Host) -> None:
    ran = used.run("restore", used.place / "out", "--config", used.config, "--path", "../../etc/passwd", status=2)
    assert "../../etc/passwd" in ran.stderr


def test_a_destination_that_is_not_empty(used: Host) -> None:
    place = used.place / "out"
    place.mkdir()
    (place / "mine").write_text("precious")
    ran = used.run("restore", place, "--config", used.config, status=1)
    assert "not empty" in ran.stderr
    assert (place / "mine").read_text() == "precious"
    used.run("restore", place, "--config", used.config, "--force")
    assert (place / "etc/passwd").exists()


def test_a_missing_source(used: Host) -> None:
    used.source.rename(used.place / "moved")
    assert str(used.source) in used.backup("2019-12-30", status=1).stderr
    assert len(used.list()) == 2


def test_a_missing_archive(used: Host) -> None:
    used.root.rename(used.place / "unmounted")
    ran = used.backup("2019-12-30", status=1)
    assert "not an archive root" in ran.stderr
    assert "cya init-archive" in ran.stderr
    assert not used.root.exists()


@needs_root
def test_a_full_archive(newest: Host) -> None:
    days.begin(newest.source)
    newest.root.parent.mkdir()
    newest.root.parent.rmdir()
    with small_file_system(newest.root.parent, megabytes=24):
        newest.init("--volume-size", "1M")
        newest.backup("2019-12-28")
        large(newest, 40)
        message = newest.backup("2019-12-29", status=1).stderr
        assert "full" in message or "No space left" in message
        assert len(newest.list()) == 1
        assert not list(newest.root.glob("incoming/next/*.vol*"))
        for path in newest.source.glob("large *"):
            path.unlink()
        newest.backup("2019-12-30")
        assert len(newest.list()) == 2
        newest.restore("out")


def test_a_clock_that_stands_before_the_last_backup(used: Host) -> None:
    used.backup("2019-12-30")
    ran = used.backup("2019-12-29T23:00", status=1)
    assert "2019-12-30" in ran.stderr
    assert "clock" in ran.stderr
    assert len(used.list()) == 3


def test_a_second_run_at_once(newest: Host) -> None:
    large(newest)
    newest.init("--volume-size", "1M")
    running = newest.start_backup("2019-12-28", volumes=3)
    assert "another" in newest.backup("2019-12-28", status=12).stderr
    running.communicate(timeout=120)
    assert running.returncode == 0
    assert len(newest.list()) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("before", [0, 1])
def test_a_backup_that_is_killed_in_the_middle_starts_over(host: Host, how: signal.Signals, before: int) -> None:
    (host.source / "small").write_text("x")
    host.init("--volume-size", "1M")
    for number in range(before):
        host.backup(f"2019-12-2{number}")
    large(host)
    running = host.start_backup("2019-12-28", volumes=3)
    running.send_signal(how)
    _, message = running.communicate(timeout=60)
    assert running.returncode == (-9 if how == signal.SIGKILL else 1)
    assert how == signal.SIGKILL or "the next run starts over" in message
    wait_until_gone(host)
    # What a resumed run would mix up: a file that is in volume 1 already changes, and then changes again.
    (host.source / "large 0").write_bytes(random.Random(2).randbytes(1 << 20))
    host.backup("2019-12-29")
    with (host.source / "large 0").open("r+b") as file:
        file.write(b"changed")
    was = picture(host.source)
    host.backup("2019-12-30")
    assert len(host.list()) == before + 2
    assert picture(host.restore("out")) == was
    no_debris(host)


def wait_until_gone(host: Host) -> None:
    """Nothing that a killed run started may live on."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(host.place).encode() in _read(p)]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError([_read(path) for path in left])


def _read(path: Path) -> bytes:
    try:
        text = path.read_bytes()
    except OSError:
        return b""
    return text if b"duplicity" in text or b"gpg\0" in text else b""


def no_debris(host: Host) -> None:
    """Only what is served lies in next, and nothing in the engine's temporary directory."""
    names = [path.name for path in (host.root / "incoming/next").iterdir()]
    assert all("sigtar" in name or "manifest" in name for name in names)
    assert not list(host.cache.rglob("*.part*"))
    assert not list((host.cache / "tmp").rglob("*"))
    assert not (host.root / "state/batch").exists()


def test_a_volume_missing_in_one_directory_is_taken_from_another(used: Host) -> None:
    victims = list(used.root.glob("backups/*/*/*/*/*/files/*full*.vol1.*"))
    assert victims
    for victim in victims:
        victim.unlink()
    assert picture(used.restore("out")) == picture(used.source)


@pytest.mark.parametrize("what", ["vol1", "manifest"])
def test_a_file_missing_everywhere_costs_what_was_in_it_and_is_named(used: Host, what: str) -> None:
    for victim in used.root.glob(f"backups/**/*inc*.{what}*"):
        victim.unlink()
    ran = used.run("restore", used.place / "out", "--config", used.config, status=13)
    assert what in ran.stderr
    lost = set(re.findall(r"^cya: not restored as it was: (.*?):", ran.stderr, re.M))
    assert bool(lost) == (what == "vol1"), "where the manifest is missing the volumes are all there"
    there, was = picture(used.place / "out"), picture(used.source)
    assert {path for path in was if there.get(path) != was[path]} <= lost
    used.restore("before", "--time", "2019-12-28T00:00:00")
    (_, damaged) = used.list()
    assert damaged["chain_length"] is None


def test_stock_does_not_begin_where_a_file_is_missing_and_says_what_can_be_had(used_by_stock: Host) -> None:
    for victim in used_by_stock.root.glob("backups/**/*inc*.vol1*"):
        victim.unlink()
    ran = used_by_stock.run("restore", used_by_stock.place / "out", "--config", used_by_stock.config, status=13)
    assert "2019-12-29T00:00:00+00:00 cannot be restored" in ran.stderr
    assert "2019-12-28T00:00:00+00:00 (--time)" in ran.stderr
    used_by_stock.restore("out", "--time", "2019-12-28T00:00:00")


def test_a_damaged_volume_is_named(used: Host) -> None:
    (victim, *_) = {p.stat().st_ino: p for p in used.root.glob("backups/**/*full*.vol1.*")}.values()
    victim.chmod(0o600)
    with victim.open("r+b") as file:
        file.seek(100)
        file.write(b"damage")
    ran = used.run("restore", used.place / "out", "--config", used.config, status=13)
    assert "vol1" in ran.stderr


@needs_root
def test_unreadable_files_are_named_and_the_rest_is_backed_up(debian: Host) -> None:
    """As an ordinary user, on an archive of its own."""
    days.begin(debian.source)
    (debian.source / "etc/shadow").chmod(0)
    (debian.source / "closed").mkdir(mode=0)
    nobody = debian.give_to_nobody()
    os.chown(debian.source / "etc/shadow", 0, 0)
    words = ("--source", debian.source, "--archive", debian.root, "--cache-dir", debian.cache)
    debian.run("init", "--config", debian.config, *words, **nobody)
    ran = debian.run("backup", "--config", debian.config, status=10, **nobody)
    assert "etc/shadow" in ran.stderr
    assert "closed" in ran.stderr
    debian.run("restore", debian.place / "out", "--config", debian.config, **nobody)
    assert (debian.place / "out/etc/passwd").read_bytes() == (debian.source / "etc/passwd").read_bytes()


@needs_root
def test_a_client_that_may_only_upload(debian: Host) -> None:
    """The archive is root's, the client another user of the same machine: it uploads, and root collects."""
    days.begin(debian.source)
    nobody = debian.give_to_nobody()
    debian.run("init-archive", debian.root, "--user", "nobody")
    words = ("--source", debian.source, "--archive", debian.root, "--cache-dir", debian.cache)
    debian.run("init", "--config", debian.config, *words, **nobody)
    debian.run("backup", "--config", debian.config, **nobody)
    assert "not been collected" in debian.run("backup", "--config", debian.config, status=11, **nobody).stderr
    assert "not allowed" in debian.run("list", debian.root, status=1, **nobody).stderr
    debian.run("collect", debian.root)
    assert len(debian.list()) == 1
    time.sleep(1.1)  # Duplicity's times have steps of one second
    debian.run("backup", "--config", debian.config, **nobody)
    debian.run("collect", debian.root)
    assert [each["kind"] for each in debian.list()] == ["full", "inc"]


def test_next_is_absent(used: Host) -> None:
    """Only where the archive does not belong to the client; one's own is served before each backup."""
    for path in (used.root / "incoming/next").iterdir():
        path.unlink()
    (used.root / "incoming/next").rmdir()
    used.run("backup", "--config", used.config, "--dry-run", "--now", "2019-12-30", status=11)
    used.backup("2019-12-30")
    assert len(used.list()) == 3
