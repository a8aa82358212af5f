"""Forty days over week, month, year and decade, made by real duplicity; each restored by stock duplicity alone.

Every directory of the tree that lists a day must give it back by itself: contents, modes, times, links.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from cya import catalog, clock
from tests.e2e import days
from tests.e2e.conftest import Host, Picture, differing, picture

FIRST = datetime(2019, 12, 20, 2, tzinfo=UTC)
DAYS = 40


@pytest.mark.slow
def test_every_day_is_restored_by_stock_duplicity_alone_from_every_directory_that_lists_it(host: Host) -> None:
    days.begin(host.source)
    host.init("--volume-size", "1M")
    was: dict[int, Picture] = {}
    for number in range(DAYS):
        days.live(host.source, number)
        now = FIRST + timedelta(days=number)
        host.backup(clock.iso(now))
        was[int(now.timestamp())] = picture(host.source)

    found = catalog.read(host.root)
    assert {directory.period[1] for directory in found.directories if len(directory.period) > 1} == {"2010", "2020"}
    assert len(found.backups) == DAYS
    listed = [(directory, increment) for directory in found.directories for increment in directory.sets]
    assert len(listed) > DAYS
    for directory, increment in listed:
        restored = host.place / "restored"
        host.stock_restore(directory.path, restored, "--time", str(increment.end))
        odd = differing(was[increment.end], restored)
        assert not odd, f"{directory.period} at {clock.iso(increment.end)}: {odd[:5]}"
        shutil.rmtree(restored)
