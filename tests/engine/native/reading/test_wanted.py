"""Paths that are asked for, and are not there: whether that is an error, or something that was lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cya.engine.protocol import Encryption, Report
from cya.errors import NotInBackup
from tests.engine.native.reading.histories import History, history

Restoring = Callable[..., Report]


@pytest.fixture(scope="module")
def made() -> Iterator[History]:
    with history(Encryption()) as found:
        for name in ("a", "dir/b", "z"):
            found.write(name, name.encode() * 400_000)
        found.backup()
        yield found


@pytest.fixture
def restoring(made: History, tmp_path: Path) -> Restoring:
    """Restore some paths from a copy in which the names with a word are missing."""

    def restore(*paths: str, without: tuple[str, ...] = ()) -> Report:
        (tmp_path / "some").mkdir()
        for name in os.listdir(made.target):
            if not any(word in name for word in without):
                os.link(made.target / name, tmp_path / "some" / name)
        return made.restore(tmp_path / "to", source=tmp_path / "some", paths=tuple(map(Path, paths)))

    return restore


def test_paths_that_are_not_in_the_backup_are_named_beside_those_that_are(restoring: Restoring, tmp_path: Path) -> None:
    report = restoring("a", "dir/typo", "no/such")
    assert [each.path for each in report.lost] == ["dir/typo", "no/such"]
    assert all(
        "is not in the backup of 2004-11-09T11:35:00Z; paths are relative" in each.reason for each in report.lost
    )
    assert os.listdir(tmp_path / "to") == ["a"]
    assert report.statistics["RestoredFiles"] == 1


def test_a_mistyped_path_does_not_hide_what_is_damaged(restoring: Restoring) -> None:
    report = restoring("a", "dir/typo", "z", without=(".vol1.",))
    assert {"a", "dir/typo"} <= {each.path for each in report.lost}
    assert [each.reason for each in report.damaged] == ["is missing"]


@pytest.mark.parametrize("path", ["a", "dir/b", "dir"])
def test_a_path_of_a_volume_that_is_missing_with_the_sigtar_is_lost(restoring: Restoring, path: str) -> None:
    report = restoring(path, without=(".vol1.", ".vol2.", "sigtar"))
    assert path in {each.path for each in report.lost}
    assert report.damaged


def test_paths_that_are_all_not_in_the_backup_are_an_error(restoring: Restoring, tmp_path: Path) -> None:
    with pytest.raises(NotInBackup, match="no/such: is not in the backup"):
        restoring("no/such", "typo")
    assert os.listdir(tmp_path / "to") == []
