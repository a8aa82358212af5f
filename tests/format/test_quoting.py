"""Paths in manifests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.format.quoting import quote, unquote


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (b"plain/path", b"plain/path"),
        ("ä".encode(), "ä".encode()),
        (b"caf\xe9\x85\xa0", b"caf\xe9\x85\xa0"),
        (b"a b", rb'"a\x20b"'),
        (b"\t\n\v\f\r", rb'"\x09\x0a\x0b\x0c\x0d"'),
        (b"it's", rb'"it\x27s"'),
        (b'"', rb'"\x22"'),
        (b"\\x20", rb'"\x5cx20"'),
        (b"", b""),
    ],
)
def test_white_space_quotes_and_backslashes_are_quoted(path: bytes, word: bytes) -> None:
    assert quote(path) == word
    assert unquote(word) == path


@given(st.binary())
def test_a_path_is_read_as_it_was_written(path: bytes) -> None:
    assert unquote(quote(path)) == path
    assert len(quote(path).split()) == (1 if path else 0)


@pytest.mark.parametrize(
    "word",
    [b'"', b'"a', b'"a"b', b'"a"b"', rb'"\"', rb'"\x2"', rb'"\x"', rb'"\xzz"', rb'"\n"', rb'"\x20'],
)
def test_what_is_not_well_quoted_is_refused(word: bytes) -> None:
    with pytest.raises(ValueError, match="not well quoted"):
        unquote(word)
