"""Times that people type, and where now comes from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya import clock
from cya.errors import UsageError

NOW = datetime(2026, 11, 23, 19, 30, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("now", NOW),
        ("2026-11-23T02:00:00Z", datetime(2026, 11, 23, 2, tzinfo=UTC)),
        ("2026-11-23T02:00+02:00", datetime(2026, 11, 23, 0, tzinfo=UTC)),
        ("3D", NOW - timedelta(days=3)),
        ("2W12h", NOW - timedelta(weeks=2, hours=12)),
        ("1M", NOW - timedelta(days=30)),
        ("1Y", NOW - timedelta(days=365)),
        ("90s", NOW - timedelta(seconds=90)),
        ("0s", NOW),
    ],
)
def test_times_that_people_type(text: str, meaning: datetime) -> None:
    assert clock.parse(text, NOW) == meaning


@pytest.mark.usefixtures("berlin")
def test_a_time_without_an_offset_is_local() -> None:
    assert clock.parse("2026-11-23", NOW) == datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert clock.parse("2026-07-01T02:00", NOW) == datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.usefixtures("berlin")
def test_a_date_can_mean_the_end_of_its_day() -> None:
    assert clock.parse("2026-11-23", NOW, end_of_day=True) == datetime(2026, 11, 23, 22, 59, 59, tzinfo=UTC)
    assert clock.parse("2026-11-23T02:00", NOW, end_of_day=True) == datetime(2026, 11, 23, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-23T25:00", "3d", "D3", "-3D", "9999999999Y"])
def test_what_is_no_time_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(UsageError, match="expected 2026-11-23, 2026-11-23T02:00"):
        clock.parse(text, NOW)


def test_now_comes_from_the_option_then_the_environment_then_the_system() -> None:
    environ = {"CYA_NOW": "2012-12-04T00:00:00Z"}
    assert clock.now("2013-01-01T00:00:00Z", environ).year == 2013
    assert clock.now(None, environ).year == 2012
    assert abs(clock.now(None, {}) - datetime.now(UTC)) < timedelta(seconds=5)


@given(st.integers(0, 4_000_000_000))
def test_what_is_printed_can_be_typed(moment: int) -> None:
    assert clock.parse(clock.iso(moment), NOW).timestamp() == moment
    assert clock.parse(clock.local(moment), NOW).timestamp() == moment


@pytest.mark.usefixtures("berlin")
def test_an_hour_that_comes_twice_is_told_apart() -> None:
    first, second = 1_792_886_400, 1_792_890_000  # 2026-10-25, 02:00 in summer time and again in winter time
    assert [clock.local(each) for each in (first, second)] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
