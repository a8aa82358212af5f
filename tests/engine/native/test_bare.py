"""A file that is known to have nothing beside is not looked at again, and whatever comes to it is seen all the same."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from cya.engine.native import writing
from cya.metadata.look import Extra, look
from tests.engine.native.conftest import Lab
from tests.engine.native.test_metadata import backup, side

TICK = 0.05
"""Longer than a file system's clock takes for a step: what was changed before that is no matter of doubt any more."""


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is looked at."""
    seen: list[str] = []

    def noted(directory: int, name: bytes, there: os.stat_result, fd: int = -1) -> Extra | None:
        seen.append(os.fsdecode(name))
        return look(directory, name, there, fd)

    monkeypatch.setattr(writing, "look", noted)
    return seen


@pytest.fixture
def quiet(lab: Lab) -> Lab:
    for name in ("bare", "dressed"):
        (lab.source / name).write_text(name)
    os.setxattr(lab.source / "dressed", "user.a", b"a")
    time.sleep(TICK)
    return lab


def again(lab: Lab, looked: list[str], **changes: object) -> list[str]:
    looked.clear()
    backup(lab, **changes)
    return [name for name in looked if name != "."]


def test_what_has_nothing_is_not_looked_at_again(quiet: Lab, looked: list[str]) -> None:
    backup(quiet)
    assert looked == [".", "bare", "dressed"]
    assert again(quiet, looked) == ["dressed"]
    assert again(quiet, looked) == ["dressed"]
    assert b"user.a" in (side(quiet) / "attr.txt").read_bytes()


def test_whatever_it_gets_is_seen(quiet: Lab, looked: list[str]) -> None:
    backup(quiet)
    backup(quiet)
    os.setxattr(quiet.source / "bare", "user.new", b"value")
    assert again(quiet, looked) == ["bare", "dressed"]
    assert b"# file: bare\nuser.new" in (side(quiet) / "attr.txt").read_bytes()
    os.removexattr(quiet.source / "bare", "user.new")
    time.sleep(TICK)
    assert again(quiet, looked) == ["bare", "dressed"]
    assert b"bare" not in (side(quiet) / "attr.txt").read_bytes()
    assert again(quiet, looked) == ["dressed"]


def test_a_hole_is_seen(quiet: Lab, looked: list[str]) -> None:
    (quiet.source / "bare").write_bytes(b"x" * 65536)
    time.sleep(TICK)
    backup(quiet)
    assert again(quiet, looked) == ["dressed"]
    with (quiet.source / "bare").open("r+b") as file:
        file.truncate(0)
        file.truncate(65536)
    assert again(quiet, looked) == ["bare", "dressed"]


def test_what_changed_just_before_the_backup_is_looked_at_again(quiet: Lab, looked: list[str]) -> None:
    """Something could be changed right after it was looked at, within one step of the file system's clock."""
    (quiet.source / "young").write_text("young")
    backup(quiet)
    assert "young" in again(quiet, looked)


def test_another_file_of_that_name_is_looked_at(quiet: Lab, looked: list[str]) -> None:
    backup(quiet)
    copy = quiet.source / "copy"
    shutil.copy2(quiet.source / "bare", copy)
    copy.rename(quiet.source / "bare")
    assert "bare" in again(quiet, looked)


def test_without_the_cache_all_is_looked_at(quiet: Lab, looked: list[str]) -> None:
    backup(quiet)
    index: list[Path] = [path for path in quiet.place.rglob("index") if path.is_file()]
    assert len(index) == 1
    index[0].unlink()
    assert again(quiet, looked) == ["bare", "dressed"]
    assert again(quiet, looked) == ["dressed"]


def test_what_was_stored_while_nothing_was_looked_at_is_looked_at_when_it_is_again(
    quiet: Lab, looked: list[str]
) -> None:
    quiet.backup(metadata=False)
    assert looked == []
    assert again(quiet, looked) == ["bare", "dressed"]
    quiet.backup(metadata=False)
    assert again(quiet, looked) == ["dressed"]
