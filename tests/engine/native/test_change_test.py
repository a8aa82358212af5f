"""What counts as changed, and what of it is stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engine.native.conftest import Lab

SIZES = [100, 900_000]


def filled(lab: Lab, size: int) -> Path:
    (lab.source / "file").write_bytes(b"x" * size)
    (lab.source / "other").write_text("other")
    for name in ("file", "other", "."):
        os.utime(lab.source / name, (10**9, 10**9))
    return lab.source / "file"


def counted(lab: Lab) -> tuple[float, float, float]:
    """Make a backup; return how many were new, changed and deleted."""
    statistics = lab.backup().statistics
    return statistics["NewFiles"], statistics["ChangedFiles"], statistics["DeletedFiles"]


def settled(lab: Lab) -> None:
    """Two backups: after the second no file is doubted for being as young as the first."""
    assert lab.backup().kind == "full"
    assert counted(lab) == (0, 0, 0)


@pytest.mark.parametrize("size", SIZES)
def test_other_contents_with_the_old_size_and_time_are_stored(lab: Lab, size: int) -> None:
    file = filled(lab, size)
    settled(lab)
    file.write_bytes(b"y" * size)
    os.utime(file, (10**9, 10**9))
    assert counted(lab) == (0, 1, 0)
    assert lab.is_restored()


def test_another_file_in_its_place_with_the_old_size_and_time_is_stored(lab: Lab) -> None:
    file = filled(lab, 100)
    settled(lab)
    new = lab.source / "new"
    new.write_bytes(b"z" * 100)
    os.utime(new, (10**9, 10**9))
    new.rename(file)
    os.utime(lab.source, (10**9, 10**9))
    assert counted(lab) == (0, 1, 0)
    assert lab.is_restored()


def test_a_file_that_was_only_touched_by_chmod_or_a_link_is_read_and_not_stored(lab: Lab) -> None:
    file = filled(lab, 100)
    settled(lab)
    mode = file.stat().st_mode
    file.chmod(0o700)
    file.chmod(mode)
    os.link(lab.source / "other", lab.place / "link")
    assert counted(lab) == (0, 0, 0)
    assert lab.is_restored()


def test_a_large_file_that_was_only_touched_costs_a_few_bytes(lab: Lab) -> None:
    file = filled(lab, 900_000)
    settled(lab)
    mode = file.stat().st_mode
    file.chmod(0o700)
    file.chmod(mode)
    lab.backup()
    assert sum(path.stat().st_size for path in lab.volumes()) < 1000
    assert lab.is_restored()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_that_changes_in_the_moment_after_it_was_read_is_stored_next_time(lab: Lab, size: int) -> None:
    file = filled(lab, size)
    lab.backup()
    file.write_bytes(b"y" * size)
    os.utime(file, (10**9, 10**9))
    assert counted(lab) == (0, 1, 0)
    assert lab.is_restored()


def test_each_kind_of_change_is_counted_and_restored(lab: Lab) -> None:
    file = filled(lab, 100)
    (lab.source / "gone").write_text("gone")
    (lab.source / "link").symlink_to("a")
    (lab.source / "directory").mkdir()
    (lab.source / "directory/in").touch()
    settled(lab)
    (lab.source / "gone").unlink()
    (lab.source / "link").unlink()
    (lab.source / "link").symlink_to("b")
    file.chmod(0o600)
    (lab.source / "directory/in").unlink()
    (lab.source / "directory").rmdir()
    (lab.source / "directory").write_text("is a file now")
    (lab.source / "new").write_text("new")
    os.utime(lab.source, (1_500_000_000, 1_500_000_000))
    # new; changed: the file, the link, what was a directory, and the source itself; deleted: gone, and what was in it
    assert counted(lab) == (1, 4, 2)
    assert lab.is_restored()


def test_a_dry_run_counts_the_same_and_writes_nothing(lab: Lab) -> None:
    file = filled(lab, 900_000)
    settled(lab)
    file.write_bytes(b"y" * 900_001)
    (lab.source / "new").write_text("new")
    (lab.source / "other").unlink()
    before = {
        path: path.read_bytes() for place in (lab.target, lab.cache) for path in place.rglob("*") if path.is_file()
    }
    would = lab.backup(dry_run=True)
    after = {
        path: path.read_bytes() for place in (lab.target, lab.cache) for path in place.rglob("*") if path.is_file()
    }
    assert before == after
    assert would.kind == "inc"
    did = lab.backup()
    for name in ("SourceFiles", "SourceFileSize", "NewFiles", "NewFileSize", "ChangedFiles", "DeletedFiles"):
        assert would.statistics[name] == did.statistics[name], name


def test_what_was_known_before_is_known_when_the_chain_is_cut_back(lab: Lab) -> None:
    """As at a change of level: the last increments are not served, and only what these held is looked at anew."""
    filled(lab, 100)
    settled(lab)
    (lab.source / "other").write_text("changed")
    lab.backup()
    for path in lab.target.glob(f"*{lab.stamp()}*"):
        path.unlink()
    # A change that only the change time tells, of a file that is in the full.
    (lab.source / "file").write_bytes(b"y" * 100)
    os.utime(lab.source / "file", (10**9, 10**9))
    statistics = lab.backup().statistics
    assert statistics["ChangedFiles"] == 2
    assert lab.is_restored()
