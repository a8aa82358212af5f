"""What a server says is in a directory, read with suspicion."""

from __future__ import annotations

import pytest

from cya.errors import ArchiveError
from cya.transport.listing import Found, is_plain, read, shown

LINE = b"-rw-------    ? 1001     1001          325 Nov 23 23:52 "


def test_entries_are_read_with_their_sizes_and_without_the_directory_itself() -> None:
    text = (
        b"sftp> cd /incoming\nsftp> cd next\n"
        b"drwx------    ? 1001     1001         4096 Nov 23 23:52 .\n"
        b"drwxr-xr-x    ? 0        0            4096 Nov 23  2025 ..\n"
        + LINE
        + b"a b\n"
        + LINE.replace(b"-rw", b"lrw")
        + b"link\n"
    )
    assert read(text) == {b"a b": Found(325, True), b"link": Found(325, False)}
    assert read(b"") == {}


@pytest.mark.parametrize("line", [b"rubbish", b"-rw-------", LINE, LINE.replace(b"325", b"-1") + b"x", b"\xff" * 500])
def test_what_is_no_listing_is_refused(line: bytes) -> None:
    with pytest.raises(ArchiveError, match="cannot be listed") as caught:
        read(LINE + b"good\n" + line + b"\n")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_a_listing_without_an_end_is_refused() -> None:
    with pytest.raises(ArchiveError, match="more than 100,000 files"):
        read(b"".join(LINE + b"%d\n" % number for number in range(100_002)))


@pytest.mark.parametrize(
    "name", [b"", b"-rf", b"a b", b"*", b"[x]", b'"', b"\\", b"../x", b"a\nb", b"\\377", b"x" * 201]
)
def test_names_that_sftp_would_take_for_something_else_are_not_plain(name: bytes) -> None:
    assert not is_plain(name)


@pytest.mark.parametrize("name", [b"duplicity-full.20260305T020000Z.vol1.difftar.gpg", b".a.part", b"FINISHED"])
def test_names_that_clients_make_are_plain(name: bytes) -> None:
    assert is_plain(name)


def test_names_are_shown_without_what_moves_a_cursor() -> None:
    assert shown(b"a\x1b[2J\xff\nb") == r"'a\x1b[2J\\xff\nb'"
    assert len(shown(b"x" * 1000)) < 100
