"""A restore that is killed at any moment: what it leaves, and how it goes on."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.engine.native.reading import reader
from cya.engine.protocol import Existing
from tests.engine.native.reading.histories import History, history
from tests.engine.native.trees import picture

RUN = """
import sys
from pathlib import Path
from cya.engine.native.native import Native
from cya.engine.native.reading import reader
from cya.engine.protocol import Encryption, RestoreJob
reader._FEW = int(sys.argv[5])
source, destination, cache = map(Path, sys.argv[1:4])
engine = Native(None, cache)
print("begin", flush=True)
engine.restore(RestoreJob(source, destination, int(sys.argv[4]), Encryption("correct horse"), existing=sys.argv[6]))
"""

HALF = stat.S_IFREG | 0o1200
"""The mode of a file that is not whole yet."""


@pytest.fixture(scope="module")
def made() -> Iterator[History]:
    with history() as found:
        chance = random.Random(3)
        for number in range(400):
            found.write(f"dir{number % 20}/file{number}", chance.randbytes(9_000))
        found.write("large", chance.randbytes(3_000_000))
        (found.source / "dir1/link").symlink_to("file1")
        os.chmod(found.source / "dir2", 0o500)
        found.backup()
        found.write("large", (found.source / "large").read_bytes()[:2_000_000] + chance.randbytes(1_000_000))
        for number in range(0, 400, 7):
            found.write(f"dir{number % 20}/file{number}", chance.randbytes(9_000))
        found.backup()
        yield found


def killed(made: History, destination: Path, few: int, existing: Existing, after: float) -> None:
    """Begin a restore, and kill the process that began it, and only that one."""
    arguments = [made.target, destination, made.place / "other", made.now, few, existing]
    running = subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "GNUPGHOME": str(made.home)},
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"begin\n"
    time.sleep(after)
    running.send_signal(signal.SIGKILL)
    running.communicate()


def leave_half(path: Path) -> None:
    """What a restore that is killed leaves of the file that it was writing."""
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(b"half")
    path.chmod(stat.S_IMODE(HALF))


@pytest.mark.slow
@pytest.mark.parametrize("few", [-1, 1 << 60], ids=["workers", "alone"])
def test_killed_again_and_again_a_restore_is_resumed_and_nothing_of_it_is_left(
    made: History, tmp_path: Path, few: int
) -> None:
    truth = made.truth[made.now]
    chance = random.Random(few)
    destination = tmp_path / "destination"
    destination.mkdir()
    existing: Existing = "refuse"
    for _ in range(6):
        killed(made, destination, few, existing, chance.uniform(0, 0.4))
        existing = "resume"
        for path, what in picture(destination).items():
            if stat.S_ISREG(what[0]) and b".cya-restore-" not in path:
                assert what == truth[path] or what[0] == HALF  # what has its name is whole, or marked
    report = made.restore(destination, existing="resume")
    assert picture(destination) == truth
    assert report.statistics["KeptFiles"] + report.statistics["RestoredFiles"] >= 401
    assert made.restore(destination, existing="resume").statistics["RestoredFiles"] == 0
    assert picture(destination) == truth


@pytest.mark.slow
@pytest.mark.parametrize("existing", ["replace", "keep"])
def test_killed_and_run_again_over_what_is_there_it_is_right(made: History, tmp_path: Path, existing: Existing) -> None:
    """What was half there when it was killed is never kept; directories that it made get their attributes."""
    truth = made.truth[made.now]
    for number in range(3):
        destination = tmp_path / str(number)
        destination.mkdir()
        killed(made, destination, -1, "refuse", 0.15 * number)
        first = destination / "dir0"
        is_unfinished = first.exists() and stat.S_IMODE(first.stat().st_mode) == 0o1700
        was_there = {b"."} if is_unfinished else {b".", b"dir0"}  # what has its attributes stays as it is left here
        leave_half(destination / "dir0/file0")
        made.restore(destination, existing=existing)
        found = picture(destination)
        if existing == "keep":  # directories that were there stay as they are
            assert {path for path, what in found.items() if what != truth[path]} <= was_there
            assert found.keys() == truth.keys()
        else:
            assert found == truth


def test_a_directory_that_a_killed_restore_left_is_told_from_others(made: History, tmp_path: Path) -> None:
    for name, mode in (("dir2", 0o1700), ("dir3", 0o711)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    made.restore(tmp_path, existing="keep")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("dir2", "dir3")] == [0o500, 0o711]


def test_resumed_files_are_not_written_again_but_others_are(
    made: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_FEW", 1 << 60)
    made.restore(tmp_path)
    names = ["dir0/file0", "dir1/file1", "dir3/file3", "dir4/file4", "dir5/file5", "large"]
    before = {name: (tmp_path / name).stat().st_ino for name in names}
    with open(tmp_path / "dir1/file1", "ab") as file:  # another size
        file.write(b"more")
    os.utime(tmp_path / "dir1/file1", (0, made.truth[made.now][b"dir1/file1"][3]))
    os.utime(tmp_path / "dir3/file3", (0, 0))  # another time
    (tmp_path / "dir4/file4").chmod(0o600)  # another mode
    (tmp_path / "dir5/file5").unlink()  # another type
    (tmp_path / "dir5/file5").symlink_to("file6")
    report = made.restore(tmp_path, existing="resume")
    assert picture(tmp_path) == made.truth[made.now]
    kept = {name for name in names if (tmp_path / name).stat().st_ino == before[name]}
    assert kept == {"dir0/file0", "large"}
    assert report.statistics["RestoredFiles"] == 4
    assert "as they should be" in report.notes[-1]


def test_what_is_resumed_keeps_its_other_names_and_attributes(made: History, tmp_path: Path) -> None:
    made.restore(tmp_path)
    names = ["dir0/file0", "large"]
    for name in names:
        os.link(tmp_path / name, tmp_path / f"{name} too")
        os.setxattr(tmp_path / name, "user.note", b"mine")
    made.restore(tmp_path, existing="resume")
    for name in names:
        assert os.path.samefile(tmp_path / name, tmp_path / f"{name} too")
        assert os.getxattr(tmp_path / name, "user.note") == b"mine"


def test_what_looks_done_but_is_a_link_to_another_file_is_replaced(made: History, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"x" * 9_000)
    os.utime(victim, (0, made.truth[made.now][b"dir0/file0"][3]))
    destination = tmp_path / "destination"
    (destination / "dir0").mkdir(parents=True)
    (destination / "dir0/file0").symlink_to(victim)
    made.restore(destination, existing="resume")
    assert picture(destination) == made.truth[made.now]
    assert victim.read_bytes() == b"x" * 9_000
