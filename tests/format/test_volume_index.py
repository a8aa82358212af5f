"""The index of a volume: which parts may hold a path, and what the manifest says of it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.format import volume_index
from cya.format.volume_index import IndexDamaged, Indexed, Place

components = st.lists(st.sampled_from([b"a", b"a-", b"b", b"\x01", b"\xff"]), max_size=4).map(b"\0".join)


@given(st.lists(components, min_size=1, max_size=30), st.data())
def test_the_parts_that_hold_a_key_are_found_and_few_besides(keys: list[bytes], data: st.DataObject) -> None:
    keys = sorted(keys)  # a key that is there twice is one of a file in pieces
    cuts = sorted(data.draw(st.sets(st.integers(1, len(keys)), max_size=6)) | {len(keys)})
    groups = [keys[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
    parts = [Indexed(group[0], 10 + number, bytes([number])) for number, group in enumerate(groups)]
    wanted = data.draw(components)
    holding = [
        number
        for number, group in enumerate(groups)
        if any(wanted == key or not wanted or key.startswith(wanted + b"\0") for key in group)
    ]
    found = volume_index.sections(parts, [wanted])
    numbers = [section.digest[0] for section in found]
    assert set(holding) <= set(numbers)
    assert len(numbers) <= len(holding) + 2
    assert numbers == sorted(numbers)
    for section in found:
        number = section.digest[0]
        assert (section.offset, section.length) == (sum(10 + each for each in range(number)), 10 + number)


def test_an_index_and_its_place_are_read_as_they_were_written() -> None:
    parts = [Indexed(b"", 5, bytes(32)), Indexed(b"a\0b", 1 << 40, b"x" * 32)]
    assert volume_index.parse(volume_index.encode(parts)) == parts
    place = volume_index.parse_place(volume_index.place_of(1 << 40, b"deflated"))
    assert place == Place(1 << 40, 8, sha256(b"deflated").digest())
    assert len(volume_index.encode(parts)) < sum(volume_index.room(part.first) for part in parts)


@pytest.mark.parametrize(
    "digits", ["", "00", "zz" * 48, "00" * 47, "00" * 49, "00" * 8 + "ff" * 8 + "00" * 32, "00" * 8 + "05"]
)
def test_a_place_that_cannot_be_is_none(digits: str) -> None:
    assert volume_index.parse_place(digits) is None


@given(st.binary(max_size=40))
def test_any_bytes_are_an_index_or_an_error(data: bytes) -> None:
    try:
        parts = volume_index.parse(data)
    except IndexDamaged:
        return
    volume_index.sections(parts, [b"a", b""])
