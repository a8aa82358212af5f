"""Records of names of the same file."""

from __future__ import annotations

from io import BytesIO

import pytest

from cya.metadata import hard_links


def test_a_record_is_as_the_format_says() -> None:
    assert hard_links.record(b"12.1", 3, b"a\0b c") == b"12.1 3 ./a/b c\0"


def test_records_are_read_as_they_were_written_whatever_is_in_a_name() -> None:
    written = [
        (b"7", 2, b"a\0\n b"),
        (b"18446744073709551615", 4294967295, b" "),
        (b"7", 2, b"\xff"),
        (b"7.12", 2, b"-"),
    ]
    file = BytesIO(b"".join(hard_links.record(*each) for each in written))
    assert list(hard_links.parse(file)) == written


@pytest.mark.parametrize(
    "record",
    [
        *(b"", b"7", b"7 2", b"7 2 ", b"x 2 ./a", b"7 x ./a", b"7  2 ./a", b" 7 2 ./a", b"7. 2 ./a", b"7.1.1 2 ./a"),
        *(b"-7 2 ./a", b"7 2 /etc/shadow", b"7 2 ./../a", b"7 2 a/../b", b"7 2 ./"),
    ],
)
def test_what_is_no_record_is_refused(record: bytes) -> None:
    reader = hard_links.parse(BytesIO(b"1 2 ./good\0" + record + b"\0"))
    assert next(reader) == (b"1", 2, b"good")
    with pytest.raises(ValueError, match=r"is not a (name of a file with several|path in a backup)"):
        next(reader)


def test_a_record_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        list(hard_links.parse(BytesIO(b"1 2 ./a")))
