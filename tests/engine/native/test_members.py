"""Gzip files of members: any part can be read, gzip reads the whole, and damage is told."""

from __future__ import annotations

import gzip
import io
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cya.engine.native.members import LARGEST, MemberReader, SignaturesDamaged, read_at, repack

CONTENT = random.Random(1).randbytes(300_000) + b"abc" * 700_000


def packed(path: Path, content: bytes) -> Path:
    with path.open("wb") as file:
        repack(io.BytesIO(content).read, file.write)
    return path


def inflated(path: Path) -> bytes:
    with path.open("rb") as file:
        reader = MemberReader(file)
        return b"".join(iter(lambda: reader.read(100_000), b""))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.sampled_from([b"", b"x", CONTENT]), spans=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1))))
def test_any_part_is_read_where_it_is(tmp_path: Path, content: bytes, spans: list[tuple[float, float]]) -> None:
    path = packed(tmp_path / "file.gz", content)
    assert gzip.decompress(path.read_bytes() or gzip.compress(b"")) == content
    with path.open("rb") as file:
        reader = MemberReader(file)
        while reader.read(1 << 16):
            pass
        assert reader.largest <= LARGEST
        for start, end in spans if content else []:
            offset = int(start * (len(content) - 1))
            length = int(end * (len(content) - offset))
            member, inner = reader.place(offset)
            assert read_at(file, member, inner, length) == content[offset : offset + length]


def test_a_file_of_one_large_member_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(CONTENT))
    assert inflated(path) == CONTENT


def test_damage_is_told_and_nothing_else_is_raised(tmp_path: Path) -> None:
    path = packed(tmp_path / "file.gz", CONTENT[:400_000])
    good = path.read_bytes()
    chance = random.Random(2)
    noticed = 0
    for _ in range(300):
        at = chance.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << chance.randrange(8))]) + good[at + 1 :])
        try:
            assert len(inflated(path)) <= 2 * len(CONTENT)
        except SignaturesDamaged:
            noticed += 1
    assert noticed > 290, "a time stamp or a flag in a member's head may change"
    for length in range(1, len(good), 5000):
        path.write_bytes(good[:length])
        with pytest.raises(SignaturesDamaged):
            inflated(path)


def test_a_part_is_not_taken_from_a_damaged_member(tmp_path: Path) -> None:
    path = packed(tmp_path / "file.gz", os.urandom(200_000))
    good = bytearray(path.read_bytes())
    good[150_000] ^= 1
    path.write_bytes(good)
    with path.open("rb") as file, pytest.raises(SignaturesDamaged):
        read_at(file, 0, 10, 100)


def test_a_bomb_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(200 << 20), 9))
    with path.open("rb") as file:
        reader = MemberReader(file)
        assert max(len(piece) for piece in iter(lambda: reader.read(1 << 22), b"")) <= LARGEST
