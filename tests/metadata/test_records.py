"""Fields that end with a zero byte, and the paths in them."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.metadata import records

words = st.lists(st.binary(max_size=8).map(lambda word: word.replace(b"\0", b"")))
components = st.binary(min_size=1, max_size=5).map(lambda name: name.translate(None, b"/\0"))
keys = st.lists(components.filter(lambda name: name not in (b"", b".", b"..")), max_size=4).map(b"\0".join)


@pytest.mark.parametrize("chunk", [1, 3, 1 << 18])
@given(given_=words)
def test_fields_are_read_wherever_a_read_ends(chunk: int, given_: list[bytes]) -> None:
    file = BytesIO(b"".join(word + b"\0" for word in given_))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_CHUNK", chunk)
        assert list(records.fields(file)) == given_


def test_a_field_that_is_cut_off_is_refused_after_those_before_it() -> None:
    reader = records.fields(BytesIO(b"a\0b"))
    assert next(reader) == b"a"
    with pytest.raises(ValueError, match="cut off in b'b'"):
        next(reader)


def test_a_field_that_is_too_long_is_refused_before_it_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST", 100)
    monkeypatch.setattr(records, "_CHUNK", 10)
    file = BytesIO(bytes(1) + b"x" * 100 + bytes(1) + b"y" * 1000)
    reader = records.fields(file)
    assert [next(reader), next(reader)] == [b"", b"x" * 100]
    with pytest.raises(ValueError, match="more than 100 bytes"):
        next(reader)
    assert file.tell() < 300


def test_pairs_are_read_and_half_a_pair_is_refused() -> None:
    assert list(records.pairs(BytesIO(b"a\0./b\0\0c\0"))) == [(b"a", b"./b"), (b"", b"c")]
    reader = records.pairs(BytesIO(b"a\0b\0c\0"))
    assert next(reader) == (b"a", b"b")
    with pytest.raises(ValueError, match="cut off after b'c'"):
        next(reader)


@given(keys)
def test_a_keys_path_is_read_with_and_without_the_dot_and_slash(key: bytes) -> None:
    path = records.dotted(key)
    assert path == (b"./" + key.replace(b"\0", b"/") if key else b".")
    assert records.key_of_dotted(path) == key
    assert records.key_of_dotted(path.removeprefix(b"./")) == key


@pytest.mark.parametrize(
    "path",
    [
        *(b"", b"/", b"/a", b"./", b"./.", b"././a", b"..", b"./..", b"a/..", b"a/../b", b"../a", b"./../a", b"a//b"),
        *(b".//a", b"a/", b"a/./b", b"a/.", b"a\0b", b"./a\0../b"),
    ],
)
def test_a_path_out_of_the_tree_or_not_in_its_plainest_form_is_refused(path: bytes) -> None:
    with pytest.raises(ValueError, match="is not a path in a backup"):
        records.key_of_dotted(path)
