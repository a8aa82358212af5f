"""A restore that did not come to its end, or finds something where it restores to: what is said, and what stays."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stock
from tests.e2e.conftest import Host, picture
from tests.mounts import small_file_system

FIRST, SECOND = "2026-03-05T02:00:00", "2026-03-06T02:00:00"


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path, stock.program("3"))
    (host.source / "etc").mkdir()
    (host.source / "etc/passwd").write_text("root\n")
    (host.source / "letter").write_text("old\n")
    host.init()
    host.backup(FIRST)
    yield host
    host.close()


def test_a_new_file_system_is_an_empty_directory(used: Host) -> None:
    there = used.place / "there"
    (there / "lost+found").mkdir(parents=True)
    used.run("restore", there, "--config", used.config)
    assert (there / "etc/passwd").exists()
    (used.place / "other/lost+found").mkdir(parents=True)
    (used.place / "other/lost+found/found").touch()
    said = used.run("restore", used.place / "other", "--config", used.config, status=1).stderr
    assert "is not empty" in said
    assert "--resume" in said


def test_a_dry_run_refuses_what_the_restore_would(used: Host) -> None:
    there = used.place / "there"
    there.mkdir()
    (there / "something").touch()
    assert "is not empty" in used.run("restore", there, "--config", used.config, "--dry-run", status=1).stderr


def test_in_place_there_is_nothing_to_resume_that_could_overwrite_newer_work(used: Host) -> None:
    (used.source / "letter").write_text("MY NEW WORK\n")
    said = used.run("restore", "--config", used.config, "--in-place", "--resume", status=2).stderr
    assert "run again what was interrupted" in said
    used.run("restore", "--config", used.config, "--in-place")
    assert (used.source / "letter").read_text() == "MY NEW WORK\n"


def test_what_ended_early_is_gone_on_with_as_it_says_also_after_a_newer_backup(used: Host) -> None:
    """The destination is a small file system that is full."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a file system")
    (used.source / "large").write_bytes(os.urandom(9 << 20))
    used.backup(SECOND)
    was = picture(used.source)
    with small_file_system(used.place / "small", 8) as small:
        said = used.run("restore", small, "--config", used.config, status=1).stderr
        assert "--resume --time 2026-03-06T02:00:00Z" in said
    there = used.place / "there"
    there.mkdir()
    (there / "etc").mkdir(mode=0o700)
    shutil.copy2(used.source / "etc/passwd", there / "etc/passwd")
    (used.source / "letter").write_text("newest\n")
    used.backup("2026-03-07T02:00:00")
    used.run("restore", there, "--config", used.config, "--resume", "--time", "2026-03-06T02:00:00Z")
    assert picture(there) == was


def test_what_is_not_encrypted_is_not_taken_where_encryption_is_on(used: Host) -> None:
    """Somebody without the key puts an increment beside the chain."""
    plain = used.place / "plain.toml"
    plain.write_text(re.sub(r"^passphrase_file = .*$", "none = true", used.config.read_text(), flags=re.M))
    plain.chmod(0o600)
    (used.source / "evil").write_text("evil\n")
    used.run("backup", "--config", plain, "--now", SECOND)
    assert used.list()[-1]["kind"] == "inc"
    said = used.run("restore", used.place / "out", "--config", used.config, status=13).stderr
    assert "is not encrypted" in said
    assert not (used.place / "out/evil").exists()
    used.run("restore", used.place / "out", "--config", used.config, "--allow-unencrypted")
    assert (used.place / "out/evil").read_text() == "evil\n"
    used.run("restore", used.place / "before", "--config", used.config, "--time", FIRST)


def test_what_was_changed_since_is_overwritten_whatever_its_times_say(used: Host) -> None:
    """Somebody who has broken in changes a file, and puts its size and time as they were."""
    time.sleep(1.1)  # a backup's time is in whole seconds
    used.run("backup", "--config", used.config)
    passwd = used.source / "etc/passwd"
    before = passwd.stat()
    time.sleep(1.1)
    passwd.write_text("evil\n")
    os.utime(passwd, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert passwd.stat().st_size == before.st_size
    told = used.json("restore", "--config", used.config, "--in-place", "--overwrite", "--dry-run")
    fates = {each["path"]: each["fate"] for each in told["paths"]}
    assert fates["etc/passwd"] == "replaced"
    used.run("restore", "--config", used.config, "--in-place", "--overwrite")
    assert passwd.read_text() == "root\n"


def test_what_was_not_changed_since_keeps_its_inode_when_it_is_overwritten(used: Host) -> None:
    time.sleep(1.1)
    used.run("backup", "--config", used.config)
    (used.source / "etc/passwd").unlink()
    before = (used.source / "letter").stat().st_ino
    used.run("restore", "--config", used.config, "--in-place", "--overwrite")
    assert (used.source / "etc/passwd").read_text() == "root\n"
    assert (used.source / "letter").stat().st_ino == before
