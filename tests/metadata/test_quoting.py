"""Names as getfacl and getfattr write them; that they do is tested with what they write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.metadata.quoting import quoted, quoted_attribute, quoted_in_acl, unquoted


@pytest.mark.parametrize(
    ("name", "word"),
    [
        (b"a b\t\"'=#", b"a b\t\"'=#"),
        (b"a\nb\rc", rb"a\012b\015c"),
        (b"\\", rb"\134"),
        (rb"\012", rb"\134012"),
        (b"\xff\x01\x85", b"\xff\x01\x85"),
    ],
)
def test_backslashes_and_ends_of_lines_are_escaped_and_nothing_else(name: bytes, word: bytes) -> None:
    assert quoted(name) == word
    assert unquoted(word) == name


def test_getfacl_doubles_a_backslash() -> None:
    assert quoted_in_acl(b"\\a\\\n134") == rb"\\a\\\012134"


def test_in_an_attribute_the_equals_sign_is_escaped_too() -> None:
    assert quoted_attribute(b"user.a=b\n") == rb"user.a\075b\012"


@given(st.binary())
def test_a_name_is_read_as_it_was_written_and_is_on_one_line(name: bytes) -> None:
    assert unquoted(quoted(name)) == unquoted(quoted_in_acl(name)) == unquoted(quoted_attribute(name)) == name
    assert not set(quoted(name)) & set(b"\r\n")
    assert b"=" not in quoted_attribute(name)


def test_a_backslash_that_escapes_nothing_stands_for_itself() -> None:
    assert unquoted(rb"\9\12\0128\x\400") == b"\\9\\12\n8\\x\0"
