"""Two years of daily backups on a real file system, pruned by each collect: the model's tree, and not a byte more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cya.archive.check import run as checking
from cya.archive.check.run import check
from cya.archive.init import init_archive
from cya.config.root import RootConfig
from cya.tree.levels import Calendar
from cya.tree.retention import Policy
from cya.tree.simulation import Simulation
from tests.archive.conftest import Site
from tests.mounts import memory
from tests.tree.model import every

START, DAYS = datetime(2019, 11, 27, 2, tzinfo=UTC), 730
KEEP = {"week": 2, "month": 6, "year": 2}


def test_two_years_pruned_by_each_collect_are_the_models_tree_and_take_the_room_of_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checking, "PAUSES", (0.0,))
    with memory() as place:
        root = place / "web1"
        init_archive(root, RootConfig(keep=KEEP, prune=True, min_backups=1))
        site, model = Site(root), Simulation(Calendar())
        for moment in every(timedelta(days=1), START, START + timedelta(days=DAYS)):
            done = site.day(moment.replace(tzinfo=None).isoformat())
            assert done.pruned is not None
            assert not done.pruned.held
            model.backup(int(moment.timestamp()))
            model.prune(Policy(KEEP), int(moment.timestamp()))
            if moment.day == 1:
                _compare(root, site, model)
        _compare(root, site, model)
        assert [finding for finding in check(root, moment).findings if finding.damage] == []


def _compare(root: Path, site: Site, model: Simulation) -> None:
    found = site.catalog
    assert {directory.period: set(directory.sets) for directory in found.directories} == model.tree
    # Each file of each backup that is left exists once, and nothing else does.
    left = {increment for increments in model.tree.values() for increment in increments}
    files = [path for path in (root / "backups").rglob("*") if path.is_file()]
    assert len({path.stat().st_ino for path in files}) == len({path.name for path in files}) == 3 * len(left)
    assert len(list((root / "state/ledger").iterdir())) == len(left)
