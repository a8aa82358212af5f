"""Finished volumes are handed over while duplicity goes on, and it halts when there is no room for more."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from cya.engine.process import Child
from cya.errors import ArchiveError
from tests.engine.conftest import SECRET, T1, Backup, Restore, tree


class Shelf:
    """Takes files, one every so often."""

    def __init__(self, place: Path, rests: int = 3) -> None:
        self.place, self.rests = place, rests
        self.delivered: list[bytes] = []
        self.asked = self.busy = 0

    def deliver(self, file: Path, name: bytes) -> None:
        os.link(file, self.place / name.decode())
        self.delivered.append(name)
        self.busy = self.rests

    def reuse(self, place: Path) -> bool:
        return False

    def has_room(self, patience: float = 0) -> bool:
        self.busy = max(0, self.busy - 1)
        self.asked += 1
        return self.busy == 0


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "shelf").mkdir()
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def large(source: Path) -> Path:
    for number in range(5):
        (source / f"noise{number}").write_bytes(os.urandom(1 << 20))
    return source


def test_what_was_handed_over_and_what_is_left_is_the_whole_backup(
    backup: Backup, restore: Restore, large: Path, target: Path, shelf: Shelf, destination: Path
) -> None:
    report = backup(T1, SECRET, volume_size=1, spool=shelf)
    assert report.kind == "full"
    assert len(shelf.delivered) > 3
    assert [int(name.split(b".vol")[1].split(b".")[0]) for name in shelf.delivered] == sorted(
        range(1, len(shelf.delivered) + 1)
    )
    left = set(os.listdir(target))
    assert len([name for name in left if "difftar" in name]) <= 2, "handed over and still there: at most the last"
    assert len([name for name in left if "sigtar" in name or "manifest" in name]) == 2
    for file in shelf.place.iterdir():
        if file.name not in left:
            shutil.move(file, target)
    restore(T1, SECRET)
    assert tree(destination) == tree(large)


def test_an_error_of_the_transport_ends_the_run_at_once(
    backup: Backup, large: Path, target: Path, shelf: Shelf
) -> None:
    class Broken(Shelf):
        def reuse(self, place: Path) -> bool:
            return False

        def has_room(self, patience: float = 0) -> bool:
            if self.delivered:
                raise ArchiveError("the archive is gone")
            return True

    with pytest.raises(ArchiveError, match="the archive is gone"):
        backup(T1, SECRET, volume_size=1, spool=Broken(shelf.place))
    assert os.listdir(target) == []


def test_interrupted_while_halted_nothing_is_left(backup: Backup, large: Path, target: Path, shelf: Shelf) -> None:
    class Full(Shelf):
        def reuse(self, place: Path) -> bool:
            return False

        def has_room(self, patience: float = 0) -> bool:
            if self.delivered and not self.asked:
                self.asked = 1
                threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            return not self.delivered

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        backup(T1, SECRET, volume_size=1, spool=Full(shelf.place))
    assert time.monotonic() - begun < 15
    assert os.listdir(target) == []


def test_a_program_is_halted_as_long_as_the_gate_is_shut(tmp_path: Path) -> None:
    opens = time.monotonic() + 1
    counter = tmp_path / "counter"
    script = f"while true; do echo x >> {counter}; sleep 0.02; done"
    sizes = []

    def gate() -> bool:
        sizes.append(counter.stat().st_size if counter.exists() else 0)
        if time.monotonic() > opens + 0.5:
            raise ArchiveError("enough")
        return time.monotonic() > opens

    with (
        pytest.raises(ArchiveError, match="enough"),
        Child(lambda fd: ["sh", "-c", script], dict(os.environ), tmp_path, gate=gate) as child,
    ):
        for _ in child.lines():
            pass
    shut = sizes[2:15]
    assert len(set(shut)) == 1, "nothing happens while it is shut"
    assert sizes[-1] > shut[-1] + 10, "it goes on when it is open"
    assert child.returncode is not None
