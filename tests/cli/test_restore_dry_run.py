"""``cya restore --dry-run`` tells what a restore then does, and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Host, picture

NOW = "2036-03-05T02:00:00"
"""Later than all that is done to the files: they were not changed since."""


@pytest.fixture
def used(newest: Host) -> Host:
    for name in ("etc", "home"):
        (newest.source / name).mkdir()
    for name in ("etc/passwd", "etc/shadow", "home/letter", "home/other"):
        (newest.source / name).write_text(f"{name}\n" * 100)
    (newest.source / "etc/link").symlink_to("passwd")
    newest.init()
    newest.backup(NOW)
    newest.environment["CYA_NOW"] = "2036-03-06T02:00:00"
    return newest


def fates(host: Host, *words: object) -> dict[str, str]:
    found = host.json("restore", "--config", host.config, "--dry-run", *words)
    assert found["time"] == "2036-03-05T02:00:00Z"
    return {each["path"]: each["fate"] for each in found["paths"] if each["fate"] != "same"}


def harm(host: Host) -> None:
    (host.source / "etc/passwd").unlink()
    (host.source / "home/letter").write_text("another one")
    (host.source / "etc/link").unlink()
    (host.source / "etc/link").mkdir()
    (host.source / "etc/link/in the way").touch()


def test_in_place_it_tells_what_is_missing_and_what_stays(used: Host) -> None:
    assert fates(used, "--in-place") == {}
    harm(used)
    before = picture(used.source)
    assert fates(used, "--in-place") == {"etc/passwd": "new", "home/letter": "kept", "etc/link": "kept"}
    assert picture(used.source) == before, "nothing was written"
    used.run("restore", "--config", used.config, "--in-place")
    assert fates(used, "--in-place") == {"home/letter": "kept", "etc/link": "kept"}
    assert (used.source / "home/letter").read_text() == "another one"


def test_with_overwrite_it_tells_what_is_replaced_and_what_is_in_the_way(used: Host) -> None:
    harm(used)
    told = fates(used, "--in-place", "--overwrite")
    assert {path: fate for path, fate in told.items() if path not in ("etc", "home")} == {
        "etc/passwd": "new",
        "home/letter": "replaced",
        "etc/link": "in the way",
    }
    said = used.run("restore", "--config", used.config, "--in-place", "--overwrite", status=10).stderr
    assert "etc/link" in said
    assert fates(used, "--in-place", "--overwrite") == {"etc/link": "in the way"}


def test_to_a_new_directory_everything_is_new_and_the_directory_is_not_made(used: Host, tmp_path: Path) -> None:
    there = tmp_path / "there"
    told = fates(used, there)
    assert told == dict.fromkeys([".", *(path for path in picture(used.source) if path != ".")], "new")
    assert not there.exists()
    assert set(fates(used, there, "--path", "etc")) == {"etc", "etc/passwd", "etc/shadow", "etc/link"}


def test_people_get_lines_and_a_sum(used: Host) -> None:
    harm(used)
    said = used.run("restore", "--config", used.config, "--in-place", "--overwrite", "--dry-run").stdout
    assert "would restore: etc/passwd\n" in said
    assert "would replace: home/letter: content" in said
    assert "would fail at: etc/link: a directory is there" in said
    assert said.splitlines()[-1].endswith("nothing was written")


def test_a_path_that_is_not_in_the_backup_is_an_error(used: Host) -> None:
    words = ("restore", "--config", used.config, "--in-place", "--dry-run", "--path", "no/such")
    assert "no/such: not in the backup" in used.run(*words, status=1).stderr


def test_no_volume_is_read(used: Host, tmp_path: Path) -> None:
    for volume in used.root.glob("backups/**/*.difftar.gpg"):
        os.unlink(volume)
    assert fates(used, tmp_path / "there")
