"""Thirty years of backups by real engines, pruned after each; from every directory that stays stock duplicity restores.

The newest backup of each, and another one. The rules day by day are in ``tree/test_thirty_years.py``; here are fewer
days, and real files.
"""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from cya import catalog, clock
from cya.tree.chain import chains
from tests.e2e import days
from tests.e2e.conftest import Host, Picture, differing, picture

FIRST = datetime(2003, 2, 3, 2, tzinfo=UTC)
BURSTS = {"native": 24, "duplicity": 8}
"""How often the host is there for some days; months or years lie between."""


@pytest.mark.slow
def test_thirty_years_pruned_after_each_backup_are_restored_from_every_directory_that_stays(host: Host) -> None:
    chance = random.Random(2003)
    days.begin(host.source)
    host.init("--volume-size", "1M", now="2003-02-03")
    settings = host.root / "cya.toml"
    kept = settings.read_text().replace("keep = {}", "keep = { week = 2, month = 3, year = 4, decade = 2 }")
    settings.write_text(kept.replace("prune = false", "prune = true"))
    was: dict[int, Picture] = {}
    now, number = FIRST, 0
    bursts = BURSTS[host.engine]
    for _ in range(bursts):
        for _ in range(chance.randrange(1, 5)):
            days.live(host.source, number)
            host.backup(clock.iso(now))
            was[int(now.timestamp())] = picture(host.source)
            number, now = number + 1, now + timedelta(days=1)
            found = catalog.read(host.root)
            assert not any(chains(increments).orphans for increments in found.tree.values())
        _restore_one(host, found, was, chance)
        now += timedelta(days=chance.choice([5, 20, 400, 600, 900]) * 24 // bursts)
    assert now - FIRST > timedelta(days=20 * 365)

    levels = [sum(len(directory.period) == depth for directory in found.directories) for depth in range(1, 6)]
    assert levels[4] == 2
    assert levels[3] <= 4
    assert levels[2] <= 5
    assert len(found.backups) < number
    for directory in found.directories:
        for increment in {chance.choice(list(directory.sets)), directory.chains.chains[-1].increments[-1]}:
            restored = host.place / "restored"
            host.stock_restore(directory.path, restored, "--time", str(increment.end))
            odd = differing(was[increment.end], restored)
            assert not odd, f"{directory.period} at {clock.iso(increment.end)}: {odd[:5]}"
            shutil.rmtree(restored)


def _restore_one(host: Host, found: catalog.Catalog, was: dict[int, Picture], chance: random.Random) -> None:
    """Restore some backup from some directory by cya's own engine."""
    directory = chance.choice(found.directories)
    increment = chance.choice(list(directory.sets))
    restored = host.place / "restored-by-cya"
    words = (
        "--from",
        directory.path,
        "--passphrase-file",
        host.config.with_suffix(".passphrase"),
        "--time",
        clock.iso(increment.end),
    )
    host.run("restore", restored, *words)
    assert not differing(was[increment.end], restored)
    shutil.rmtree(restored)
