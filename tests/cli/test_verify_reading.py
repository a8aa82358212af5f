"""`cya verify` where something cannot be read, is damaged, locked, of other programs, or changes meanwhile."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya import catalog
from tests import stock
from tests.cli.test_verify import PAST, ROOT, begin, flip, named, verify
from tests.e2e.conftest import Host
from tests.engine.test_recipients import Keys, keys

__all__ = ["keys"]


@pytest.mark.skipif(not ROOT, reason="needs root, to become nobody")
def test_what_an_ordinary_user_may_not_read_is_named(debian: Host) -> None:
    """Debian's program is one that every user can run."""
    begin(debian.source)
    nobody = debian.give_to_nobody()
    debian.run("init", "--config", debian.config, "--source", debian.source, "--archive", debian.root, **nobody)
    debian.run("backup", "--config", debian.config, "--now", PAST, **nobody)
    ran = debian.run("verify", "--config", debian.config, **nobody)
    assert (ran.stdout, ran.stderr) == ("", "")
    (debian.source / "mode/file").chmod(0)
    (debian.source / "type").chmod(0)
    found = debian.json("verify", "--config", debian.config, status=10, **nobody)
    assert named(found) == {"mode/file": ["unread"], "type": ["unread"]}
    assert found["not_read"] == 2
    ran = debian.run("verify", "--config", debian.config, status=10, **nobody)
    assert "cya: cannot be compared: mode/file: permission denied\n" in ran.stderr


def test_a_damaged_sigtar_is_named_wherever_the_damage_is(newest: Host) -> None:
    begin(newest.source)
    newest.init()
    newest.backup(PAST)
    found = catalog.read(newest.root)
    (increment,) = found.merged
    name = found.merged[increment].sigtar
    assert name is not None
    path = found.places(increment)[name]
    path.chmod(0o600)
    good = path.read_bytes()
    for at in (0, 5, 20, len(good) // 2, len(good) - 1):
        flip(path, at)
        ran = newest.run("verify", "--config", newest.config, status=13)
        assert path.name in ran.stderr, at
        path.write_bytes(good)
    path.write_bytes(good[:-100])
    assert path.name in newest.run("verify", "--config", newest.config, status=13).stderr
    path.write_bytes(good)
    newest.config.with_suffix(".passphrase").write_text("wrong\n")
    assert "passphrase is wrong" in newest.run("verify", "--config", newest.config, status=1).stderr


def test_with_recipients_the_secret_key_is_needed(newest: Host, keys: Keys) -> None:
    begin(newest.source)
    newest.init()
    text = newest.config.read_text().replace(f'"{newest.gnupg}"', f'"{keys.with_secret}"')
    lines = [line for line in text.splitlines() if not line.startswith("passphrase_file")]
    at = lines.index("[encryption]") + 1
    newest.config.write_text("\n".join([*lines[:at], f'recipients = ["{keys.recipient}"]', *lines[at:]]) + "\n")
    newest.backup(PAST)
    secret = newest.place / "secret"
    secret.write_text("key secret\n")
    secret.chmod(0o600)
    words = ("verify", "--config", newest.config, "--passphrase-file", secret)
    newest.run(*words)
    flip(newest.source / "content/file", 3)
    assert "content/file" in newest.run(*words, status=10).stdout
    newest.config.write_text(newest.config.read_text().replace(f'"{keys.with_secret}"', f'"{keys.public_only}"'))
    assert "secret key" in newest.run(*words, status=1).stderr


@pytest.fixture(params=["0.8", "3"])
def by_stock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path, stock.program(request.param), "duplicity")
    yield made
    made.close()


def test_chains_of_stock_duplicity_are_verified(by_stock: Host) -> None:
    begin(by_stock.source)
    by_stock.init()
    by_stock.backup(PAST)
    (by_stock.source / "content/file").write_bytes(random.Random(2).randbytes(300_000))
    (by_stock.source / "missing/file").unlink()
    by_stock.backup("2019-12-22")
    ran = by_stock.run("verify", "--config", by_stock.config)
    assert (ran.stdout, ran.stderr) == ("", "")
    flip(by_stock.source / "content/file", 250_000)
    assert named(verify(by_stock, status=10)) == {"content/file": ["content"]}
    before = named(verify(by_stock, "--time", PAST, status=10))
    assert before == {"content/file": ["content", "mtime"], "missing": ["mtime"], "missing/file": ["missing"]}


def test_a_file_that_changes_while_it_is_read_has_changed_since(newest: Host) -> None:
    busy = newest.source / "busy"
    busy.write_bytes(bytes(30_000_000))
    newest.init("--volume-size", "50M")
    newest.backup(PAST)
    done = threading.Event()

    def write() -> None:
        size = 0
        while not done.is_set():
            size = (size + 999_999) % 30_000_000
            os.truncate(busy, size)
            with busy.open("ab") as file:
                file.truncate(30_000_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            for each in verify(newest, status=10)["differences"]:
                assert each["since"]
    finally:
        done.set()
        writer.join()
