"""After damage no backup is made on top of it: collect serves another whole chain, or the client makes a full."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from cya.tree.chain import chains
from tests.archive.check_site import (
    MONTH,
    NEXT_WEEK,
    WEEK,
    damage,
    files,
    flip,
    rewrite,
    run_check,
    short_pauses,
    site,
    template,
    the,
)
from tests.archive.conftest import Site

__all__ = ["short_pauses", "site", "template"]

LAST_VOLUME = "*.to.20121211T000000Z.vol2*"


def no_branches(site: Site) -> bool:
    """Tell whether no directory has two increments with the same start."""
    for directory in site.catalog.directories:
        starts = [increment.start for increment in directory.sets if not increment.is_full]
        if len(starts) != len(set(starts)):
            return False
    return True


DAMAGE: dict[str, Callable[[Site], None]] = {
    "a flipped byte": lambda site: rewrite(the(site, NEXT_WEEK, LAST_VOLUME), flip),
    "the last volume is missing, which names do not tell": lambda site: the(site, NEXT_WEEK, LAST_VOLUME).unlink(),
    "a manifest": lambda site: rewrite(the(site, NEXT_WEEK, "*.to.20121211T*.manifest*"), flip),
    "the full, which is in every directory": lambda site: rewrite(the(site, MONTH, "duplicity-full.*.vol1*"), flip),
    "0 bytes": lambda site: rewrite(the(site, NEXT_WEEK, LAST_VOLUME), lambda _: b""),
}


@pytest.mark.parametrize("harm", DAMAGE.values(), ids=DAMAGE)
def test_after_damage_in_the_served_chain_the_next_backup_is_sound(site: Site, harm: Callable[[Site], None]) -> None:
    harm(site)
    assert run_check(site).damaged
    done = site.collect("2012-12-13")
    assert done.served is not None  # what had been served is taken back
    assert done.served.chain is None
    assert list(site.next.iterdir()) == []
    for day in ("2012-12-14", "2012-12-15", "2012-12-16", "2012-12-17"):
        assert len(site.day(day).committed) == 1
    result = run_check(site)
    after = [end for end in result.outcome.backups if end > result.outcome.backups[9]]
    assert len(after) == 4
    assert not set(after) & set(result.outcome.unrestorable)
    assert no_branches(site)


def test_a_broken_chain_by_names_alone_is_not_continued_before_its_gap(site: Site) -> None:
    the(site, NEXT_WEEK, "*.to.20121211T000000Z.vol1*").unlink()
    shutil.rmtree(site.next)
    done = site.collect("2012-12-13")
    assert done.served is not None
    assert done.served.chain is None
    site.day("2012-12-14")
    assert no_branches(site)


def test_damage_in_another_week_changes_nothing(site: Site) -> None:
    rewrite(the(site, WEEK, "*.to.20121206T000000Z.vol1*"), flip)
    assert run_check(site).damaged
    assert site.collect("2012-12-13").served is None


def test_another_whole_chain_of_the_base_is_served(site: Site) -> None:
    """After a full of the 14th the week has two chains; when the newer one is damaged the older one goes on."""
    site.day("2012-12-14", full=True)
    site.day("2012-12-15")
    rewrite(next(files(site, NEXT_WEEK).glob("*.to.20121215T*.vol1*")), flip)
    assert damage(run_check(site, now="2012-12-15"))
    done = site.collect("2012-12-15")
    assert done.served is not None
    assert done.served.chain is not None
    assert done.served.chain.increments[0].end < done.served.chain.end
    site.day("2012-12-15T12:00")
    week = site.catalog[tuple(NEXT_WEEK.split("/"))]
    assert not chains(week.sets).orphans
    assert no_branches(site)


def test_what_was_repaired_by_hand_is_served_again_at_once(site: Site) -> None:
    victim = the(site, NEXT_WEEK, "*.to.20121211T000000Z.vol2*")
    data = victim.read_bytes()
    rewrite(victim, flip)
    run_check(site)
    site.collect("2012-12-13")
    victim.unlink()
    victim.write_bytes(data)  # a new inode
    victim.chmod(0o440)
    site.next.rmdir()  # what had been served is empty
    done = site.collect("2012-12-13")
    assert done.served is not None
    assert done.served.chain is not None
    assert len(done.served.chain) == 6


def test_an_upload_that_has_begun_on_a_damaged_chain_is_kept(site: Site) -> None:
    names = site.write("2012-12-14")
    rewrite(the(site, NEXT_WEEK, LAST_VOLUME), flip)
    run_check(site)
    assert site.collect("2012-12-14").served is None
    site.finish(names)
    done = site.collect("2012-12-14")
    assert len(done.committed) == 1
    assert done.served is not None
    assert done.served.chain is None
