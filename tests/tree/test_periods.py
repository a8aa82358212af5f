"""Which directories are periods: every one that a backup can come into, and no other."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.tree.levels import ALL_LEVELS, Calendar, upwards

LEVELS = st.sets(st.sampled_from(ALL_LEVELS), min_size=1).map(lambda s: tuple(sorted(s, key=ALL_LEVELS.index)))


@given(
    LEVELS,
    st.sampled_from(["sunday", "monday"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns"]),
    st.integers(-(10**9), 8 * 10**9),
)
def test_every_period_that_a_backup_comes_into_fits(
    levels: tuple[str, ...], week_start: str, zone: str, moment: int
) -> None:
    calendar = Calendar(levels, "sunday" if week_start == "sunday" else "monday", ZoneInfo(zone))
    for period in upwards(calendar.leaf(moment)):
        assert calendar.has(period), period
        begin, end = calendar.span(period)
        assert begin <= moment < end
        depth = len(period)
        assert [calendar.leaf(at)[:depth] == period for at in (begin - 1, begin, end - 1, end)] == [
            False,
            True,
            True,
            False,
        ]


@pytest.mark.parametrize(
    "directory",
    [
        "0000",
        "2001",
        "20",
        "files",
        "2000\n",
        "2000/2001",
        "2000/1990",
        "2000/2010/2009",
        "2000/2010/2012/2012-13",
        "2000/2010/2012/2011-12",
        "2000/2010/2012/2012-12/2012-12-03",
        "2000/2010/2012/2012-12/2012-11-25",
        "2000/2010/2012/2012-12/2012-12-02/2012-12-02",
        "2000/2010/2012/2012-02/2012-02-30",
        "２０００",
        "",
    ],
)
def test_others_do_not(directory: str) -> None:
    assert not Calendar().has(tuple(directory.split("/")))
