"""Four hundred daily backups by a quick stand-in engine, on a real file system, give the golden tree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cya.tree.chain import chains
from cya.tree.levels import Calendar
from tests.archive.conftest import Site
from tests.tree.model import TreeModel, every

START, DAYS = datetime(2019, 11, 27, 2, tzinfo=UTC), 400


def test_four_hundred_daily_backups_give_the_golden_tree(site: Site) -> None:
    """The committed directories are those of the model, whose listings are golden files of their own."""
    moments = list(every(timedelta(days=1), START, START + timedelta(days=DAYS)))
    for moment in moments:
        site.day(moment.replace(tzinfo=None).isoformat())
    model = TreeModel(Calendar()).run(moments)
    found = {directory.period: set(directory.sets) for directory in site.catalog.directories}
    assert found == model.tree
    assert all(files.is_complete for directory in site.catalog.directories for files in directory.sets.values())
    assert not any(chains(increments).orphans for increments in found.values())
    # A day's files exist once, however many directories they are in.
    inodes = {path.stat().st_ino for path in site.root.glob("backups/**/*.gpg")}
    assert len(inodes) == 3 * DAYS
