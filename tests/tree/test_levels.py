"""Dates to periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.tree.levels import ALL_LEVELS, Calendar, WeekStart, upwards


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("day", "directory"),
    [
        ("2012-12-04", "2000/2010/2012/2012-12/2012-12-02"),
        ("2012-12-08", "2000/2010/2012/2012-12/2012-12-02"),
        ("2012-12-09", "2000/2010/2012/2012-12/2012-12-09"),
        ("2013-01-05", "2000/2010/2012/2012-12/2012-12-30"),
        ("2013-01-06", "2000/2010/2013/2013-01/2013-01-06"),
        ("2020-01-01", "2000/2010/2019/2019-12/2019-12-29"),
        ("2100-01-01", "2000/2090/2099/2099-12/2099-12-27"),
        ("2100-01-03", "2100/2100/2100/2100-01/2100-01-03"),
        ("0999-12-30", "0900/0990/0999/0999-12/0999-12-29"),
    ],
)
def test_a_week_lies_where_its_sunday_lies(day: str, directory: str) -> None:
    assert "/".join(Calendar().leaf(moment(day))) == directory


def test_weeks_that_begin_on_monday() -> None:
    assert Calendar(week_start="monday").leaf(moment("2013-01-06"))[-1] == "2012-12-31"
    assert Calendar(week_start="monday").leaf(moment("2013-01-07"))[-1] == "2013-01-07"


def test_a_day_keeps_its_own_date_below_its_week() -> None:
    assert Calendar(("month", "week", "day")).leaf(moment("2013-01-05")) == ("2012-12", "2012-12-30", "2013-01-05")


def test_without_weeks_nothing_is_rounded() -> None:
    assert Calendar(("year", "month", "day")).leaf(moment("2013-01-05")) == ("2013", "2013-01", "2013-01-05")


def test_days_begin_in_the_archives_zone() -> None:
    last_second_utc = moment("2013-01-05T23:59:59")
    assert Calendar(("day",)).leaf(last_second_utc) == ("2013-01-05",)
    assert Calendar(("day",), zone=ZoneInfo("Asia/Tokyo")).leaf(last_second_utc) == ("2013-01-06",)


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ((), "expected one or more"),
        (("week", "month"), "from coarse to fine"),
        (("week", "week"), "each once"),
        (("fortnight",), "no level 'fortnight'"),
    ],
)
def test_wrong_levels_are_refused_with_what_is_expected(levels: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Calendar(levels)


@given(
    day=st.dates(date(2, 1, 1), date(9998, 12, 31)),
    week_start=st.sampled_from(["sunday", "monday"]),
    levels=st.sets(st.sampled_from(ALL_LEVELS), min_size=1).map(lambda s: tuple(sorted(s, key=ALL_LEVELS.index))),
)
def test_a_period_is_one_unbroken_span(day: date, week_start: WeekStart, levels: tuple[str, ...]) -> None:
    """Leaves never come back: going on in time, each leaf is entered once and left for good."""
    calendar = Calendar(levels, week_start)
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    days = [calendar.leaf(noon + n * 86400) for n in range(60)]
    for depth in range(1, len(levels) + 1):
        seen = [leaf[:depth] for leaf in days]
        distinct = list(dict.fromkeys(seen))
        assert seen == [period for period in distinct for _ in range(seen.count(period))]
        assert distinct == sorted(distinct)


@given(st.dates(date(1, 1, 8), date(9999, 12, 31)))
def test_a_week_is_seven_days_from_its_first(day: date) -> None:
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())
    first = date.fromisoformat(Calendar().leaf(noon)[-1])
    assert timedelta(0) <= day - first < timedelta(days=7)
    assert first.isoweekday() == 7


def test_upwards_goes_from_the_leaf_to_the_top() -> None:
    assert list(upwards(("2000", "2010", "2012"))) == [("2000", "2010", "2012"), ("2000", "2010"), ("2000",)]
