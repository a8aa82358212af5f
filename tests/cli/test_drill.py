"""`cya drill`: a little of a backup comes back as it was, or the drill says so; through the command line."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cya import catalog
from cya.client.drill import PREFIX
from tests import mounts, stock
from tests.cli.test_verify import flip
from tests.e2e import days
from tests.e2e.conftest import Host
from tests.engine.test_recipients import Keys, keys

__all__ = ["keys"]

TIMES = ("2019-12-21", "2019-12-22", "2019-12-23")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Three backups of files of all kinds; for looking at only."""
    host = Host(tmp_path_factory.mktemp("drilled"), stock.program("3"))
    days.begin(host.source)
    host.init()
    for number, day in enumerate(TIMES):
        days.live(host.source, number)
        host.backup(day)
    yield host
    host.close()


def drill(host: Host, *words: object, status: int = 0, **options: Any) -> dict[str, Any]:
    found = host.json("drill", "--config", host.config, *words, status=status, **options)
    assert isinstance(found, dict)
    assert found["well"] == (status == 0)
    assert not left(host.cache)
    return found


def left(scratch: Path) -> list[Path]:
    """Return what drills have left behind."""
    return [*scratch.glob(f"{PREFIX}*"), *scratch.glob("tmp/restore-*"), *scratch.glob("chain-*")]


def test_when_all_is_well_nothing_is_said_and_nothing_left(lived: Host) -> None:
    ran = lived.run("drill", "--config", lived.config)
    assert (ran.stdout, ran.stderr) == ("", "")
    assert not left(lived.cache)
    words = ("drill", "--from", lived.root, "--passphrase-file", lived.config.with_suffix(".passphrase"))
    scratch = lived.place / "scratch"
    scratch.mkdir()
    ran = lived.run(*words, "--scratch", scratch)
    assert (ran.stdout, ran.stderr) == ("", "")
    assert not [*scratch.iterdir()]


def test_the_same_seed_draws_the_same(lived: Host) -> None:
    found = drill(lived, "--sample", 3, "--seed", 5)
    assert found["backups"][0]["time"][:10] == TIMES[2]
    assert found["backups"][1]["time"][:10] in TIMES[:2]
    for each in found["backups"]:
        assert len(each["files"]) == 3
        assert each["compared"] >= each["files_read"] >= 3
        assert each["directory"] is not None

    def drawn(seed: int) -> list[Any]:
        kept = drill(lived, "--sample", 3, "--seed", seed, "--older", 2)["backups"]
        return [{**each, "seconds": 0} for each in kept]

    assert drawn(5) == drawn(5)
    assert len(drawn(5)) == 3
    assert [each["files"] for each in drawn(5)] != [each["files"] for each in drawn(6)]


def test_a_sample_larger_than_the_backup_takes_all_files(lived: Host) -> None:
    (found,) = drill(lived, "--sample", 1000, "--directory", lived.source, "--older", 0)["backups"]
    assert found["directory"] == "."
    everything = [lived.source, *lived.source.rglob("*")]
    files = [path for path in everything if path.is_file() and not path.is_symlink()]
    assert len(found["files"]) == found["files_read"] == len(files)
    assert found["compared"] == len(everything)
    assert found["bytes_read"] == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("kind", ["difftar", "sigtar", "manifest"])
def test_any_damage_that_the_drill_meets_is_named(lived: Host, kind: str) -> None:
    found = catalog.read(lived.root)
    *_, increment = found.merged
    (path,) = (place for name, place in found.places(increment).items() if kind.encode() in name)
    good = path.read_bytes()
    path.chmod(0o600)
    for at in (3, 17, len(good) // 2, len(good) - 1):
        try:
            flip(path, at)
            ran = lived.run("drill", "--config", lived.config, "--directory", ".", "--older", 0, status=13)
        finally:
            with path.open("r+b") as file:
                file.write(good)
        assert path.name in ran.stderr, at
        assert "--seed" in ran.stdout
    drill(lived, "--directory", ".", "--older", 0)


def test_what_comes_back_otherwise_than_it_was_recorded_is_named(newest: Host) -> None:
    """Signatures of another full of the same time are put in: nothing in the format says that they do not belong."""
    newest.init()
    for name in ("content", "mode", "mtime", "same", "missing"):
        (newest.source / name).write_bytes(name.encode() * 100)
        os.utime(newest.source / name, (1_500_000_000, 1_500_000_000))
    other = newest.place / "other"
    shutil.copytree(newest.root, other, symlinks=True)
    newest.backup("2019-12-21")
    flip(newest.source / "content", 5)
    (newest.source / "mode").chmod(0o600)
    os.utime(newest.source / "mtime", (1_500_000_001, 1_500_000_001))
    (newest.source / "missing").rename(newest.source / "elsewhere")
    text = newest.config.read_text()
    newest.config.write_text(text.replace(f'"{newest.root}"', f'"{other}"').replace("/cache", "/other-cache"))
    newest.backup("2019-12-21")
    newest.config.write_text(text)
    for sigtar in other.glob("backups/**/*sigtar*"):
        place = newest.root / sigtar.relative_to(other)
        place.unlink()
        shutil.copy2(sigtar, place)
    (found,) = drill(newest, "--directory", ".", "--sample", 0, status=13)["backups"]
    assert {each["path"]: each["what"] for each in found["differences"]} == {
        "content": ["content"],
        "mode": ["mode"],
        "mtime": ["mtime"],
        "missing": ["extra"],
        "elsewhere": ["missing"],
    } | ({".": ["mtime"]} if found["differences"][0]["path"] == "." else {})
    ran = newest.run("drill", "--config", newest.config, "--directory", ".", status=13)
    assert "differs: content: content\n" in ran.stderr
    assert "NOT all well" in ran.stdout


def test_a_wrong_passphrase_is_no_damage(lived: Host, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    wrong.chmod(0o600)
    ran = lived.run("drill", "--from", lived.root, "--passphrase-file", wrong, status=1)
    assert "passphrase is wrong" in ran.stderr
    ran = lived.run("drill", "--config", lived.config, "--time", "2018-01-01", status=1)
    assert "no backup from" in ran.stderr
    lived.run("drill", status=2)


def test_a_killed_drill_leaves_nothing_that_the_next_one_does_not_remove(lived: Host, tmp_path: Path) -> None:
    for sent, remains in ((signal.SIGKILL, True), (signal.SIGINT, False), (signal.SIGTERM, False)):
        running = subprocess.Popen(
            lived.command("drill", "--config", lived.config, "--scratch", tmp_path, "--older", 2),
            env=lived.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 120
        while not any(tmp_path.glob(f"{PREFIX}*/*")):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        running.send_signal(sent)
        _, said = running.communicate(timeout=60)
        assert bool(left(tmp_path)) == remains
        if not remains:
            assert running.returncode == 1
            assert "interrupted; nothing of it is left in" in said
            continue
        assert all(path.stat().st_mode & 0o777 == 0o700 for path in left(tmp_path))
        lived.run("drill", "--config", lived.config, "--scratch", tmp_path, "--older", 0)
        assert not left(tmp_path)


def test_only_directories_and_nothing_at_all_are_drilled(newest: Host) -> None:
    newest.init()
    newest.backup("2019-12-21")
    (found,) = drill(newest)["backups"]
    assert (found["files"], found["directory"], found["compared"]) == ([], ".", 1)
    (newest.source / "a/b").mkdir(parents=True)
    newest.backup("2019-12-22")
    found = drill(newest)["backups"][0]
    assert (found["files"], found["directory"], found["compared"]) == ([], ".", 3)


def test_no_more_is_restored_than_may_be(newest: Host, tmp_path: Path) -> None:
    (newest.source / "many").mkdir()
    for number in range(30):
        (newest.source / f"many/{number}").write_bytes(random.Random(number).randbytes(100_000))
    (newest.source / "large").write_bytes(random.Random(99).randbytes(3_000_000))
    newest.init()
    newest.backup("2019-12-21")
    (found,) = drill(newest, "--max-size", "1M")["backups"]
    assert found["directory"] is None
    assert 3 <= len(found["files"]) <= 5
    assert found["bytes_read"] <= 1 << 20
    assert found["too_large"] == 1
    ran = newest.run("drill", "--config", newest.config, "--max-size", "100K", status=1)
    assert "nothing in it is small enough" in ran.stderr
    ran = newest.run("drill", "--config", newest.config, "--max-size", "1M", "--directory", "many", status=1)
    assert "many: " in ran.stderr
    assert "--max-size" in ran.stderr
    assert "no such directory" in newest.run("drill", "--config", newest.config, "--directory", "x", status=1).stderr
    newest.run("drill", "--config", newest.config, "--max-size", "much", status=2)
    if os.geteuid() == 0:
        with mounts.small_file_system(tmp_path / "small", 8) as small:
            words = ("--scratch", small, "--directory", "many")
            ran = newest.run("drill", "--config", newest.config, *words, status=1)
            assert str(small) in ran.stderr
            assert "--scratch" in ran.stderr
            assert not left(small)


def test_with_recipients_the_secret_key_is_needed(newest: Host, keys: Keys) -> None:
    days.begin(newest.source)
    newest.init()
    text = newest.config.read_text().replace(f'"{newest.gnupg}"', f'"{keys.with_secret}"')
    lines = [line for line in text.splitlines() if not line.startswith("passphrase_file")]
    at = lines.index("[encryption]") + 1
    newest.config.write_text("\n".join([*lines[:at], f'recipients = ["{keys.recipient}"]', *lines[at:]]) + "\n")
    newest.backup("2019-12-21")
    secret = newest.place / "secret"
    secret.write_text("key secret\n")
    secret.chmod(0o600)
    drill(newest, "--passphrase-file", secret)
    newest.config.write_text(newest.config.read_text().replace(f'"{keys.with_secret}"', f'"{keys.public_only}"'))
    ran = newest.run("drill", "--config", newest.config, "--passphrase-file", secret, status=1)
    assert "secret key" in ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become nobody")
def test_an_ordinary_user_drills_what_root_has_backed_up(debian: Host) -> None:
    """Owners, special bits, devices and what is closed to its owner cannot be as they were; the rest is."""
    days.begin(debian.source)
    os.mknod(debian.source / "var/null", 0o020666, os.makedev(1, 3))
    (debian.source / "home/closed").write_text("x")
    (debian.source / "home/closed").chmod(0)
    (debian.source / "home/setuid").write_text("x")
    (debian.source / "home/setuid").chmod(0o4755)
    debian.init()
    debian.backup("2019-12-21")
    nobody = debian.give_to_nobody()
    words = ("--sample", 100, "--passphrase-file", debian.config.with_suffix(".passphrase"), "--from", debian.root)
    scratch = debian.place / "scratch"
    scratch.mkdir()
    os.chown(scratch, 65534, 65534)
    for directory, status in (("etc", 0), ("home", 1)):
        ran = debian.run("drill", *words, "--scratch", scratch, "--directory", directory, status=status, **nobody)
        assert not [*scratch.iterdir()]
        assert ("only root" in ran.stderr) == bool(status)
    found = debian.json("drill", *words, "--scratch", scratch, **nobody)["backups"][0]
    assert {"etc/passwd", "home/a b/new\nline"} < {*found["files"]}
    assert not {"home/closed", "home/setuid", "var/null"} & {*found["files"]}


def test_chains_of_stock_duplicity_are_drilled_with_it(tmp_path: Path) -> None:
    host = Host(tmp_path, stock.program("3"), "duplicity")
    try:
        days.begin(host.source)
        host.init()
        host.backup("2019-12-21")
        days.live(host.source, 1)
        host.backup("2019-12-22")
        drill(host, "--directory", "home")
        drill(host, "--sample", 4)
    finally:
        host.close()
