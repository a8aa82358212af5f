"""How far a run is, and what it counted, in the words that people see."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import pytest

from cya.cli import progress, statistics
from cya.engine.native import making
from cya.engine.protocol import Progress
from tests import stock
from tests.engine.native.conftest import Lab

SIZES = (0, 10, 5000, 150_000, 150_000, 900_000)


def filled(lab: Lab) -> None:
    for number, size in enumerate(SIZES):
        (lab.source / f"file {number}").write_bytes(b"%d" % number * size)


def test_bytes_and_files_ascend_to_all_there_are_and_the_total_is_the_sources_size(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_TICK", 0)
    filled(lab)
    lab.backup()
    for number, size in enumerate(SIZES):
        (lab.source / f"file {number}").write_bytes(b"%d" % (9 - number) * size)
    seen: list[Progress] = []
    lab.now += 100
    lab.engine.backup(replace(lab.job, now=lab.now), seen.append)
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert [each.files for each in seen] == sorted(each.files for each in seen)
    assert {each.total for each in seen} == {sum(SIZES)}
    assert (seen[-1].done, seen[-1].unit) == (sum(SIZES), "bytes")
    assert seen[-1].files == len(SIZES) + 1


@pytest.mark.parametrize(
    ("state", "speed", "words"),
    [
        (Progress(0), None, "0 B"),
        (Progress(5 << 20, 20 << 20, files=1234), 1 << 20, "5.0 MiB of 20.0 MiB, 0:00:15 left, 1.0 MiB/s, 1,234 files"),
        (Progress(5 << 20, 0, files=1, note="volume 2"), 1 << 20, "5.0 MiB, 1.0 MiB/s, 1 files, volume 2"),
        (Progress(3, unit="volumes"), 1.0, "3 volumes"),
    ],
)
def test_progress_in_words(state: Progress, speed: float | None, words: str) -> None:
    assert progress.told(state, speed) == words


def test_statistics_have_the_names_and_the_order_of_duplicitys_own_and_the_same_counts(lab: Lab) -> None:
    filled(lab)
    (lab.source / "directory").mkdir()
    ours = statistics.text(lab.backup().statistics).splitlines()
    command = [str(stock.program("3")), "full", "--no-encryption", "--archive-dir", str(lab.place / "theirs")]
    command += [str(lab.source), f"file://{lab.place}/other"]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    theirs = theirs[theirs.index(ours[0]) :]
    names = [line.split()[0] for line in theirs[1:] if line and not line.startswith("-")]
    shown = [line.split()[0] for line in ours[1:-1]]
    assert [name for name in shown if name in names] == [name for name in names if name in shown]
    for name in ("SourceFiles", "NewFiles", "DeletedFiles", "ChangedFiles", "DeltaEntries", "RawDeltaSize", "Errors"):
        pattern = re.compile(rf"{name} (\d+)\b")
        (one,) = filter(None, map(pattern.match, ours))
        (other,) = filter(None, map(pattern.match, theirs))
        assert one[0] == other[0]
