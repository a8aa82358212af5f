"""Parts of a message are read as they were written, wherever they are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.format.openpgp import PART, Message
from cya.format.openpgp_reader import NotForUs
from cya.format.openpgp_sections import SectionReader
from cya.format.string_to_key import StringToKey
from tests.format.test_openpgp import CHEAP, DATA, deflated

PIECES = b"".join(deflated(DATA[: 3 * PART]))


def message(content: bytes) -> bytes:
    written = bytearray()
    made = Message(CHEAP, written.extend)
    made.write_deflated(content)
    made.close()
    return bytes(written)


def reader(data: bytes) -> SectionReader:
    def key(how: StringToKey, size: int) -> bytes:
        assert (how.salt, size) == (CHEAP.salt, 32)
        return CHEAP.key

    return SectionReader(lambda size, offset: data[offset : offset + size], key)


WHOLE = message(PIECES)


@given(st.integers(0, len(PIECES)), st.integers(0, 2 * PART))
def test_any_part_of_a_message_is_read(offset: int, size: int) -> None:
    size = min(size, len(PIECES) - offset)
    assert reader(WHOLE).read(offset, size) == PIECES[offset : offset + size]


@pytest.mark.parametrize("around", [PART - 60, PART, 2 * PART - 60, 2 * PART])
def test_where_a_message_ends_does_not_matter(around: int) -> None:
    """The last length has one, two or five bytes, and may be that of a part which is nearly full."""
    for size in range(around, around + 60):
        content = PIECES[:size]
        assert reader(message(content)).read(size - 50, 50) == content[-50:]


@pytest.mark.parametrize("size", [0, 1, 20, 150, 170, 191, 192, 8383, 8384, 9000])
def test_short_messages_are_read(size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert reader(message(content)).read(0, size) == content


def test_what_is_not_ours_is_refused_and_what_is_cut_off_is_short() -> None:
    for other in (b"", b"\xc3", WHOLE[:15], b"\x85" + WHOLE[1:], WHOLE[:15] + b"\xd4" + WHOLE[16:]):
        with pytest.raises(NotForUs):
            reader(other)
    cut = reader(WHOLE[: PART // 2])
    assert cut.read(PART, 100) == b""
    assert cut.read(0, PART) == PIECES[: len(cut.read(0, PART))]
