"""Times in names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.format.times import (
    EARLIEST,
    LATEST,
    LocalTime,
    local_time_from_name,
    local_time_to_name,
    time_from_name,
    time_to_name,
    to_base36,
)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, b"19700101T000000Z"),
        (-1, b"19691231T235959Z"),
        (1330518896, b"20120229T123456Z"),
        (EARLIEST, b"00010101T000000Z"),
        (LATEST, b"99991231T235959Z"),
    ],
)
def test_times_are_utc_to_the_second(time: int, text: bytes) -> None:
    assert time_to_name(time) == text
    assert time_from_name(text) == time


@given(st.integers(EARLIEST, LATEST))
def test_a_time_is_read_as_it_was_written(time: int) -> None:
    assert time_from_name(time_to_name(time)) == time
    assert (
        time_to_name(time)
        == datetime.fromtimestamp(time, UTC).isoformat().translate({45: "", 58: ""})[:15].encode() + b"Z"
    )


@pytest.mark.parametrize("time", [EARLIEST - 1, LATEST + 1, 10**30, -(10**30)])
def test_a_year_without_four_digits_is_refused(time: int) -> None:
    with pytest.raises(ValueError, match=r"outside of the years 0001 to 9999"):
        time_to_name(time)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"20120229T123456",
        b"20120229T123456Z\n",
        b" 20120229T123456Z",
        b"20120229t123456z",
        b"2012-02-29T12:34:56Z",
        b"20130229T123456Z",
        b"20121301T000000Z",
        b"20120100T000000Z",
        b"00000101T000000Z",
        b"20120101T240000Z",
        b"20120101T006000Z",
        b"20120630T235960Z",
        b"2012+229T123456Z",
        "２０１２0229T123456Z".encode(),
    ],
)
def test_what_is_no_time_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        time_from_name(text)


@given(
    st.integers(EARLIEST + 86400, LATEST - 86400),
    st.integers(-1380, 1439),
    st.sampled_from([b":", b"_", b";", b"+", b"."]),
)
def test_a_local_time_is_read_as_it_was_written(time: int, offset: int, separator: bytes) -> None:
    local = LocalTime(time, offset, separator)
    assert local_time_from_name(local_time_to_name(local)) == local


def test_the_same_moment_on_different_clocks() -> None:
    texts = [b"2012-07-18T18:46:40Z", b"2012-07-18T20:46:40+02:00", b"2012-07-18T16:16:40-03:30"]
    assert {local_time_from_name(text).time for text in texts} == {1342637200}
    assert [local_time_from_name(text).offset for text in texts] == [0, 120, -150]


@pytest.mark.parametrize("number", [0, 1, 9, 10, 35, 36, 1332637200, 36**9 - 1])
def test_base_36_is_that_of_int(number: int) -> None:
    assert int(to_base36(number), 36) == number
    assert to_base36(number) == b"0" or not to_base36(number).startswith(b"0")


def test_base_36_has_no_sign() -> None:
    with pytest.raises(ValueError, match="negative"):
        to_base36(-1)
