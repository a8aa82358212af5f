"""A full out of turn begins a second chain: what is served, listed, restored and pruned then."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

from cya import catalog, clock
from tests.e2e import days
from tests.e2e.conftest import Host, Picture, differing, picture

FIRST = datetime(2020, 1, 6, 2, tzinfo=UTC)
FULL = (2, 9, 10)
"""The days of fulls that somebody asked for: the second and third lie in one week."""
DAYS = 13


def test_a_full_out_of_turn_is_gone_on_with_listed_restored_and_pruned(newest: Host) -> None:
    days.begin(newest.source)
    newest.init(now="2020-01-06")
    was: dict[int, Picture] = {}
    for number in range(DAYS):
        days.live(newest.source, number)
        now = FIRST + timedelta(days=number)
        newest.backup(clock.iso(now), *(["--full"] if number in FULL else []))
        was[int(now.timestamp())] = picture(newest.source)

    # Served: each backup goes on from the newest chain.
    listed = newest.list()
    assert [each["kind"] for each in listed] == ["full" if n in (0, *FULL) else "inc" for n in range(DAYS)]
    assert [each["chain_length"] for each in listed] == [1, 2, 1, 2, 3, 4, 2, 3, 4, 1, 1, 2, 3]
    # Listed: each directory with the lengths of its chains.
    tree = {each["directory"]: each["chains"] for each in newest.json("list", newest.root, "--tree")}
    assert tree["2000/2020"] == [1, 1, 1, 1]
    assert tree["2000/2020/2020/2020-01/2020-01-12"] == [4, 1, 3]
    # Restored, whichever chain it is in.
    for number in (1, 5, 8, 9, 12):
        at = FIRST + timedelta(days=number)
        restored = newest.restore("by-cya", "--time", clock.iso(at))
        assert not differing(was[int(at.timestamp())], restored)
        shutil.rmtree(restored)
    # Pruned: in the coarse directories what is not needed goes.
    then = clock.iso(FIRST + timedelta(days=DAYS))
    (done,) = json.loads(
        newest.run("prune", newest.root, "--keep", "week=2", "--json", "--force", "--now", then).stdout
    )
    gone = {(each["directory"], each["chain"][0][:10]) for each in done["directories"] if each["chain"]}
    assert ("2000", "2020-01-08") in gone
    assert ("2000", "2020-01-15") in gone
    assert done["lost"] == []
    found = catalog.read(newest.root)
    assert {len(directory.chains.chains) for directory in found.directories if len(directory.period) < 3} == {2}
    for directory in found.directories:
        assert not directory.chains.orphans
        for chain in directory.chains.chains:
            restored = newest.place / "by-stock"
            newest.stock_restore(directory.path, restored, "--time", str(chain.end))
            assert not differing(was[chain.end], restored)
            shutil.rmtree(restored)
    newest.run("check", newest.root)
