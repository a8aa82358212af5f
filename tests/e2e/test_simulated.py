"""What ``cya simulate`` tells, beside the benchmark's tree that lives for some months and is really backed up."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest

from bench.life import Life
from cya import catalog, clock
from cya.tree.estimate import DAY, Data
from cya.tree.forecast import moments
from cya.tree.levels import Calendar
from cya.tree.retention import Policy
from tests.e2e.conftest import Host

FIRST = datetime(2020, 1, 1, 2, tzinfo=UTC)
DAYS = 56
KEEP = {"week": 1, "month": 1}


@pytest.mark.slow
def test_months_of_real_backups_are_what_was_simulated_and_take_about_as_much_room(newest: Host) -> None:
    newest.init("--volume-size", "5M", now="2020-01-01")
    os.rmdir(newest.source)
    life = Life(newest.source, int(FIRST.timestamp()))
    settings = newest.root / "cya.toml"
    kept = settings.read_text().replace("keep = {}", "keep = { week = 1, month = 1 }")
    settings.write_text(kept.replace("prune = false", "prune = true").replace("min_backups = 3", "min_backups = 1"))
    sizes: list[int] = []
    for day in range(DAYS):
        if day:
            life.live(day)
        newest.backup(clock.iso(FIRST + timedelta(days=day)))
        if day == 0:
            full, first = catalog.read(newest.root).backups[0].bytes, _size(newest.source)
        sizes.append(catalog.read(newest.root).backups[-1].bytes)
    newest.run("prune", newest.root, "--force", "--now", clock.iso(FIRST + timedelta(days=DAYS)))  # in spite of alarms

    # What an administrator can see: how large a full and a usual day are, and by how much the source grows.
    found = catalog.read(newest.root)
    growth = (_size(newest.source) - first) / first * full / DAYS
    change = max(0.0, (median(sizes[1:]) - growth) / full)
    data = Data(full, change, 0.05, growth)
    start = int(FIRST.timestamp())
    told = list(moments(Calendar(), Policy(KEEP), start, DAY, DAYS, data))[-1]
    assert told.ends == tuple(backup.increment.end for backup in found.backups)
    assert told.lengths == tuple(len(backup.chain) for backup in found.backups if backup.chain)
    assert told.directories == len(found.directories)
    stored = sum(backup.bytes for backup in found.backups)
    print(f"told {told.bytes:.0f}, stored {stored}, full {full}, a day {median(sizes[1:])}")
    assert abs(told.bytes / stored - 1) < 0.3


def _size(top: Path) -> int:
    return sum(path.stat().st_size for path in top.rglob("*") if path.is_file() and not path.is_symlink())
