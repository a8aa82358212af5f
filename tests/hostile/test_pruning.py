"""What a client in bad hands does to have its good backups pruned: all that manuals of append-only archives warn of.

Sixty honest days, then sixty in which somebody else uploads what he likes, several times a day. The archive prunes
after each of them, by force, as if nobody ever looked at an alarm. Beside it another one, whose client stays honest:
what that one still has of the first sixty days the attacked one must have, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cya.archive.check.run import check
from cya.archive.collect import Collected
from cya.archive.init import init_archive
from cya.archive.prune import Pruned, prune
from cya.config.root import RootConfig
from cya.tree.chain import Increment
from tests.archive.conftest import Site, at
from tests.mounts import memory
from tests.standin import increment_names

FIRST = datetime(2026, 1, 5, 3)
GOOD, BAD = 60, 60
KEEP = {"week": 2, "month": 4}


def moment(day: int, hours: float = 0) -> str:
    return (FIRST + timedelta(days=day, hours=hours)).isoformat()


class Bad(Site):
    """A client whose uploads have any times and any contents."""

    @property
    def chain_end(self) -> int | None:
        ends = [end for _, end in json.loads((self.state / "served.json").read_text())["chain"]]
        return max(ends, default=None)

    def say(self, now: str, end: int, *, full: bool = False, size: int = 20) -> Collected:
        """Upload a backup that says that it was made at ``end``, and collect at ``now``."""
        self.collect(now)
        names = increment_names(None if full else self.chain_end, end)
        for name in names:
            (self.next / name).write_bytes(os.urandom(size))
        self.finish(names)
        return self.collect(now)


def seconds(now: str) -> int:
    return int(at(now).timestamp())


def backdated(site: Bad, day: int) -> None:
    """Each is said to be of the second after what it goes on from."""
    site.collect(moment(day))
    site.say(moment(day), (site.chain_end or 0) + 1)


def backdated_fulls(site: Bad, day: int) -> None:
    """A full must end after all that lies there."""
    newest = max(backup.increment.end for backup in site.catalog.backups)
    site.say(moment(day), newest + 1, full=True)


def from_the_future(site: Bad, day: int) -> None:
    """As far in the future as is taken, and farther."""
    site.say(moment(day), seconds(moment(day)) + 10 * 365 * 86400)
    site.say(moment(day), seconds(moment(day)) + 16 * 60)
    site.say(moment(day), seconds(moment(day)) + 15 * 60)


def a_flood_of_tiny_ones(site: Bad, day: int) -> None:
    for hour in range(0, 20, 3):
        site.say(moment(day, hour), seconds(moment(day, hour)), size=1)


def a_flood_of_fulls(site: Bad, day: int) -> None:
    for hour in range(0, 20, 6):
        site.say(moment(day, hour), seconds(moment(day, hour)), full=True, size=1)


def garbage(site: Bad, day: int) -> None:
    """Nobody can tell it from a backup."""
    site.say(moment(day), seconds(moment(day)), size=300)


def large_garbage(site: Bad, day: int) -> None:
    site.say(moment(day), seconds(moment(day)), size=1 << 20)


def silence(site: Bad, day: int) -> None:
    site.collect(moment(day))


def an_upload_that_never_ends(site: Bad, day: int) -> None:
    site.collect(moment(day))
    if site.next.is_dir():
        with (site.next / "duplicity-full.20260105T030000Z.vol1.difftar.gpg").open("ab") as file:
            file.write(b"more")


def refused_ones(site: Bad, day: int) -> None:
    site.collect(moment(day))
    (site.next / "FINISHED").write_text("{}")
    site.collect(moment(day))


ATTACKS = (
    *(backdated, backdated_fulls, from_the_future, a_flood_of_tiny_ones, a_flood_of_fulls, garbage, large_garbage),
    *(silence, an_upload_that_never_ends, refused_ones),
)


def lived(root: Path, after: Callable[[Bad, int], object], *, force: bool) -> Iterator[Pruned]:
    """Let a root live; yield what each prune of the second part has done."""
    init_archive(root, RootConfig(keep=KEEP))
    site = Bad(root)
    for day in range(GOOD):
        site.day(moment(day))
        prune(root, at(moment(day)))
    for day in range(GOOD, GOOD + BAD):
        after(site, day)
        yield prune(root, at(moment(day, 23)), force=force)


def good_ones(root: Path) -> set[Increment]:
    """The backups of the honest days that can be restored."""
    last = seconds(moment(GOOD - 1))
    found = Site(root).catalog.backups
    return {backup.increment for backup in found if backup.chain is not None and backup.increment.end <= last}


@pytest.fixture(scope="module")
def kept_of_an_honest_client() -> Iterator[list[set[Increment]]]:
    """What is there of the first days, after each of the others."""
    with memory() as place:
        root = place / "honest"
        yield [good_ones(root) for _ in lived(root, lambda site, day: site.day(moment(day)), force=True)]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_what_was_committed_before_stays_as_the_policy_promises(
    attack: Callable[[Bad, int], object], kept_of_an_honest_client: list[set[Increment]]
) -> None:
    assert len(kept_of_an_honest_client[0]) > 15
    assert len(kept_of_an_honest_client[-1]) > 4
    with memory() as place:
        root = place / "attacked"
        for number, _ in enumerate(lived(root, attack, force=True)):
            missing = kept_of_an_honest_client[number] - good_ones(root)
            assert not missing, f"day {GOOD + number}: {sorted(missing)}"
        found = Site(root).catalog
        assert not any(directory.chains.orphans for directory in found.directories)
        assert [finding for finding in check(root, at(moment(GOOD + BAD))).findings if finding.damage] == []


@pytest.mark.parametrize("attack", [backdated_fulls, a_flood_of_fulls, large_garbage], ids=lambda each: each.__name__)
def test_what_is_unusual_holds_until_somebody_has_looked(attack: Callable[[Bad, int], object]) -> None:
    with memory() as place:
        before: set[Increment] = set()
        for number, done in enumerate(lived(place / "attacked", attack, force=False)):
            before = before or good_ones(place / "attacked")
            if number < 14:
                assert before <= good_ones(place / "attacked")
            assert not (number < 14 and done.deleted), number


def test_of_a_client_that_is_silent_nothing_goes() -> None:
    with memory() as place:
        root = place / "attacked"
        for done in lived(root, silence, force=False):
            assert not done.deleted
        smaller = prune(root, at(moment(GOOD + BAD)), {"week": 1, "month": 1})
        assert not smaller.deleted
        assert "is the client still there?" in smaller.held[0]


def test_fulls_out_of_turn_do_not_fill_the_coarse_directories() -> None:
    """Each full comes into every directory above it, and would stay in a century for ever."""
    with memory() as place:
        for _ in lived(place / "attacked", a_flood_of_fulls, force=True):
            pass
        found = Site(place / "attacked").catalog
        assert len(found[("2000",)].chains.chains) == 2
        assert all(len(directory.chains.chains) <= 8 for directory in found.directories if len(directory.period) < 5)
