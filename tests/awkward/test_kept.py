"""The questions of ``python -m bench kept`` find what is kept, and what is not."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from bench import report_kept
from bench.keeping_what import Kept
from bench.kept_probes import PROBES, outcomes
from bench.kept_tools import WAYS
from tests import mounts
from tests.awkward import compare, tree
from tests.awkward.kinds import MKFS, emptied

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, compare.Seen]:
    place = tmp_path_factory.mktemp("kept") / "disk"
    with mounts.own_mounts(), mounts.loop_mounted(place, 320, *MKFS["xfs"]) as disk:
        tree.make(emptied(disk), largest=64 << 20)
        return compare.seen(disk)


def test_of_an_equal_tree_everything_is_kept_and_of_nothing_nothing(seen: dict[bytes, compare.Seen]) -> None:
    assert all(each.kept == each.of > 0 and not each.lost for each in outcomes(seen, seen).values())
    assert all(each.kept == 0 and each.lost for each in outcomes(seen, {}).values())


def test_what_is_spoiled_counts_in_its_row_alone(seen: dict[bytes, compare.Seen]) -> None:
    path = b"xattrs/value text"
    spoiled = {**seen, path: replace(seen[path], time=seen[path].time + 1)}
    found = outcomes(seen, spoiled)
    assert [label for label, each in found.items() if each.kept < each.of] == ["mtimes of files, to the nanosecond"]
    assert "value text" in found["mtimes of files, to the nanosecond"].lost[0]


def test_the_page_has_a_row_for_each_question(seen: dict[bytes, compare.Seen]) -> None:
    ways = [Kept(WAYS["borg"], "borg 1", (0, 1), outcomes(seen, each)) for each in (seen, {})]
    machine = {"date": "", "cores": 1, "processor": "", "memory": 0, "kernel": "", "file_system": "xfs", "python": ""}
    text = report_kept.page(ways, machine, len(seen))
    for probe in PROBES:
        assert f"| {probe.label} | yes | no |" in text
    assert "borg: backup 0, restore 1" in text
