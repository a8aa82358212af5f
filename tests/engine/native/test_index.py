"""The index: what is written is read, and what is damaged is never taken for whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cya.engine.native.index import Header, IndexDamaged, IndexWriter, Signatures, read, read_header
from cya.engine.native.known import DOUBTED, NO_SIZE, Known

CHAIN = (Signatures(None, 5, 7), Signatures(5, 9, 1))
names = st.binary(min_size=1, max_size=12).filter(lambda name: not set(b"/\0") & set(name))
records = st.builds(
    Known,
    key=st.lists(names, max_size=3).map(b"\0".join),
    mode=st.integers(0, 2**32 - 1),
    uid=st.integers(0, 2**32 - 1),
    gid=st.integers(0, 2**32 - 1),
    size=st.integers(NO_SIZE, 2**63 - 1),
    mtime=st.integers(0, 2**63 - 1),
    ctime=st.integers(DOUBTED, 2**63 - 1),
    inode=st.integers(0, 2**64 - 1),
    increment=st.integers(0, 2**16 - 1),
    member=st.integers(0, 2**40),
    inner=st.integers(0, 2**40),
    length=st.integers(0, 2**40),
    link=st.binary(max_size=12).filter(lambda link: b"\0" not in link),
)


def record(number: int) -> Known:
    return Known(b"%09d" % number, 0o100644, 0, 0, 5, 5, 5, 5, 0, 5, 5, 5, False, b"")


def written(path: Path, content: list[Known], changed: list[Known] | None = None) -> None:
    writer = IndexWriter(path)
    for record in content:
        writer.add(record)
    if changed is not None:
        writer.next_run()
        for record in changed:
            writer.add(record)
    writer.finish(b"/source", CHAIN)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(records, max_size=30))
def test_what_is_written_is_read(tmp_path: Path, content: list[Known]) -> None:
    written(tmp_path / "index", content)
    size = sum(record.size for record in content if record.length and record.size > 0)
    header = read_header(tmp_path / "index")
    assert header is not None
    assert header == Header(b"/source", CHAIN, len(content), size, header.second)
    assert list(read(tmp_path / "index")) == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.lists(st.tuples(records, st.booleans()), max_size=30, unique_by=lambda each: each[0].key))
def test_two_runs_are_read_as_one(tmp_path: Path, content: list[tuple[Known, bool]]) -> None:
    content.sort(key=lambda each: each[0].key)
    written(tmp_path / "index", [r for r, changed in content if not changed], [r for r, changed in content if changed])
    assert list(read(tmp_path / "index")) == [record for record, _ in content]


def test_many_records_are_read_in_order(tmp_path: Path) -> None:
    content = [record(number) for number in range(10_000)]
    written(tmp_path / "index", content)
    assert list(read(tmp_path / "index")) == content


def test_there_may_be_none(tmp_path: Path) -> None:
    assert read_header(tmp_path / "index") is None


def test_one_that_was_not_finished_is_damaged(tmp_path: Path) -> None:
    writer = IndexWriter(tmp_path / "index")
    writer.add(record(1))
    writer._file.close()
    with pytest.raises(IndexDamaged):
        read_header(tmp_path / "index")


def test_any_byte_flipped_and_any_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "index"
    written(path, [record(number) for number in range(100)])
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x20]) + good[at + 1 :])
        with pytest.raises(IndexDamaged):
            read_header(path)
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        with pytest.raises(IndexDamaged):
            read_header(path)


def test_one_that_changes_after_it_was_checked_is_noticed_or_ends(tmp_path: Path) -> None:
    path = tmp_path / "index"
    written(path, [record(number) for number in range(5000)])
    good = path.read_bytes()
    chance = random.Random(1)
    for _ in range(200):
        at = chance.randrange(len(good))
        path.write_bytes(good[:at] + bytes([chance.randrange(256)]) + good[at + 1 :])
        try:
            assert len(list(read(path))) <= 10_000
        except IndexDamaged:
            continue
