"""An archive moves to another disk or host, by the commands of docs/archive-host.md, and its clients go on."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stock
from tests.archive.own_machine import CYA
from tests.e2e.conftest import differing, picture
from tests.e2e.sftp_host import USER, ArchiveHost, SftpHost, archive_host

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("rsync") is None, reason="not installed: rsync"),
]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[ArchiveHost]:
    with archive_host(tmp_path) as made:
        yield made


@pytest.fixture
def client(archive: ArchiveHost, tmp_path: Path) -> Iterator[SftpHost]:
    (tmp_path / "client").mkdir()
    made = SftpHost(tmp_path / "client", stock.program("3"), archive, f"{USER}-{os.urandom(3).hex()}")
    made.set_up()
    yield made
    made.close()
    archive.forget(made.user)


def run(*words: object) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def files(place: Path) -> int:
    """Return how many files there are, each counted once whatever names it has."""
    return len({path.stat().st_ino for path in (place / "backups").rglob("duplicity-*")})


@pytest.mark.parametrize("collected", [True, False], ids=["collected", "not collected"])
def test_an_archive_that_moves_to_another_host_goes_on(
    archive: ArchiveHost, client: SftpHost, tmp_path: Path, collected: bool
) -> None:
    (client.source / "file").write_text("first\n")
    client.collect("2026-03-07T01:00:00")
    client.backup("2026-03-07T02:00:00")
    client.collect("2026-03-07T03:00:00")
    (client.source / "file").write_text("second\n")
    client.backup("2026-03-08T02:00:00")
    if collected:
        assert len(client.collect("2026-03-08T03:00:00").committed) == 1
    number, uid = files(client.root), pwd.getpwnam(client.user).pw_uid

    moved = tmp_path / "moved"
    moved.mkdir()
    run("rsync", "-aHAX", "--numeric-ids", "/srv/cya/", moved)
    assert files(moved / client.user) == number > 0  # what directories share is there once
    shutil.rmtree(client.root)
    archive.forget(client.user)
    run("useradd", "--system", f"{USER}-first")  # the next user gets another number
    run("rsync", "-aHAX", "--numeric-ids", f"{moved}/", "/srv/cya/")
    run(CYA, "add-client", client.user, "--now", "2026-03-09T01:00:00")
    archive.forget(f"{USER}-first")
    assert pwd.getpwnam(client.user).pw_uid != uid

    was = picture(client.source)
    client.backup("2026-03-09T02:00:00")
    assert [each.start for each in client.collect("2026-03-09T03:00:00").committed]  # an increment: no new full
    run(CYA, "check", client.root)
    run(CYA, "lend", client.user, "--now", "2026-03-09T04:00:00")
    client.run("restore", tmp_path / "back", "--config", client.config, "--now", "2026-03-09T05:00:00")
    assert differing(was, tmp_path / "back") == []
    listed = run(CYA, "list", client.root)
    assert ("2026-03-08T02" in listed) is collected  # what was copied before it was collected is made once more
    assert "2026-03-09T02" in listed
