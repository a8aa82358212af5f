"""Holes, on file systems that have them."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cya.metadata import sparse
from tests import mounts

BLOCK = 4096
LARGE = 1 << 20
SIZE = 40 * BLOCK + 123


@pytest.fixture(scope="module", params=["here", "ext4", "xfs", "btrfs", "ext2"])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("sparse")
    if request.param == "here":
        yield place
        return
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    megabytes = {"ext4": 32, "ext2": 32, "xfs": 320, "btrfs": 128}[request.param]
    with mounts.loop_mounted(place / "disk", megabytes, f"mkfs.{request.param}", "-q"):
        yield place / "disk"


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield fd
    finally:
        os.close(fd)


def made(fd: int, size: int, extents: sparse.Extents, byte: bytes = b"x") -> None:
    """Make a file of nothing but holes and of data at these places."""
    os.ftruncate(fd, 0)
    os.ftruncate(fd, size)
    for offset, length in extents:
        os.pwrite(fd, byte * length, offset)


def layout(fd: int) -> sparse.Extents:
    found = sparse.extents(fd, SIZE)
    return ((0, SIZE),) if found is None else found


LAYOUTS: list[sparse.Extents] = [
    (),
    ((0, BLOCK),),
    ((BLOCK, 2 * BLOCK), (8 * BLOCK, BLOCK)),
    ((0, BLOCK), (40 * BLOCK, 123)),
    ((39 * BLOCK, BLOCK + 123),),
    ((3 * BLOCK, 30 * BLOCK),),
]


@pytest.mark.parametrize("extents", LAYOUTS)
def test_holes_are_found(disk: Path, extents: sparse.Extents) -> None:
    with opened(disk / "found") as fd:
        made(fd, SIZE, extents)
        assert sparse.extents(fd, SIZE) == extents
        os.fsync(fd)
        assert sparse.extents(fd, SIZE) == extents


def test_a_file_without_holes_and_an_empty_one_have_none(disk: Path) -> None:
    with opened(disk / "full") as fd:
        made(fd, SIZE, ((0, SIZE),))
        assert sparse.extents(fd, SIZE) is None
        made(fd, 0, ())
        assert sparse.extents(fd, 0) is None


def test_a_file_that_has_become_shorter_or_longer_is_looked_at_up_to_the_size_that_is_told(disk: Path) -> None:
    with opened(disk / "changed") as fd:
        made(fd, SIZE, ((0, BLOCK), (8 * BLOCK, 8 * BLOCK)))
        assert sparse.extents(fd, 10 * BLOCK) == ((0, BLOCK), (8 * BLOCK, 2 * BLOCK))
        assert sparse.extents(fd, 2 * SIZE) == ((0, BLOCK), (8 * BLOCK, 8 * BLOCK))


def test_holes_behind_very_many_extents_are_not_told_of(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "MOST", 3)
    with opened(disk / "many") as fd:
        made(fd, SIZE, tuple((number * 4 * BLOCK, BLOCK) for number in range(8)))
        assert sparse.extents(fd, SIZE) == ((0, BLOCK), (4 * BLOCK, BLOCK), (8 * BLOCK, SIZE - 8 * BLOCK))


@pytest.mark.parametrize("wanted", LAYOUTS)
@pytest.mark.parametrize("before", [((0, SIZE),), (), ((0, 5 * BLOCK), (20 * BLOCK, BLOCK))])
def test_a_file_gets_the_holes_and_data_that_it_had(disk: Path, before: sparse.Extents, wanted: sparse.Extents) -> None:
    with opened(disk / "recreated") as fd:
        made(fd, SIZE, before, b"\0")
        sparse.recreate(fd, SIZE, wanted)
        assert os.fstat(fd).st_size == SIZE
        assert layout(fd) == wanted
        os.fsync(fd)
        assert layout(fd) == wanted
        assert os.pread(fd, SIZE, 0) == bytes(SIZE)


def test_content_stays_the_same_whatever_the_extents(disk: Path) -> None:
    chance = random.Random(5)
    with opened(disk / "content") as fd:
        for _ in range(60):
            size = chance.randrange(1, SIZE)
            made(fd, size, tuple((chance.randrange(size), chance.randrange(1, 99)) for _ in range(chance.randrange(5))))
            size = os.fstat(fd).st_size
            content = os.pread(fd, size, 0)
            cuts = sorted(chance.sample(range(size + 1), min(size + 1, 2 * chance.randrange(4))))
            extents = tuple((a, b - a) for a, b in zip(cuts[::2], cuts[1::2], strict=True))
            covered = bytearray(content)
            for offset, length in extents:
                covered[offset : offset + length] = bytes(length)
            if any(covered):
                refused = sparse.extents(fd, size)
                with pytest.raises(ValueError, match="where a hole should be"):
                    sparse.recreate(fd, size, extents)
                assert sparse.extents(fd, size) == refused
            else:
                sparse.recreate(fd, size, extents)
            assert os.pread(fd, size + 1, 0) == content


def test_data_far_in_a_hole_are_found_before_anything_is_changed(disk: Path) -> None:
    with opened(disk / "far") as fd:
        size = 6 * LARGE
        made(fd, size, ((0, 2 * LARGE),), b"\0")
        os.pwrite(fd, bytes(2 * LARGE - 1) + b"!", 3 * LARGE)
        before = os.fstat(fd).st_blocks
        with pytest.raises(ValueError, match="where a hole should be"):
            sparse.recreate(fd, size, ())
        assert os.fstat(fd).st_blocks == before
        assert os.pread(fd, 2, 5 * LARGE - 1) == b"!\0"


def test_space_is_given_back_and_a_second_time_changes_nothing(disk: Path) -> None:
    with opened(disk / "space") as fd:
        made(fd, 8 * LARGE, ((0, 8 * LARGE),), b"\0")
        os.fsync(fd)
        for _ in range(2):
            sparse.recreate(fd, 8 * LARGE, ((4 * LARGE, LARGE),))
            os.fsync(fd)
            assert LARGE <= os.fstat(fd).st_blocks * 512 <= LARGE + 16 * BLOCK


def test_a_file_of_another_size_is_refused(disk: Path) -> None:
    with opened(disk / "size") as fd:
        made(fd, 5000, ((0, 5000),), b"\0")
        for size in (4999, 5001):
            with pytest.raises(ValueError, match=f"the file has 5000 bytes, and not {size}"):
                sparse.recreate(fd, size, ())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
def test_where_there_can_be_no_holes_the_caller_hears_of_it(tmp_path: Path) -> None:
    with mounts.own_mounts():
        subprocess.run(["mount", "-t", "ramfs", "none", tmp_path], check=True)
        with opened(tmp_path / "f") as fd:
            os.pwrite(fd, bytes(3 * BLOCK), 0)
            assert sparse.extents(fd, 3 * BLOCK) is None
            with pytest.raises(OSError, match="not supported") as caught:
                sparse.recreate(fd, 3 * BLOCK, ((0, BLOCK),))
            assert caught.value.errno == errno.EOPNOTSUPP
            sparse.recreate(fd, 3 * BLOCK, ((0, 3 * BLOCK),))
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


@given(st.lists(st.integers(1, 2**50), max_size=9).map(lambda found: (found, found[:-1])), st.integers(0, 1))
def test_extents_are_read_as_they_were_written(numbers: tuple[list[int], list[int]], first: int) -> None:
    read, at = [], first - 1
    steps = numbers[0]
    for gap, length in zip(steps[::2], steps[1::2], strict=False):
        read.append((at + gap, length))
        at += gap + length
    size = max(at, 0) + first
    assert sparse.parse(sparse.text(size, tuple(read))) == (size, tuple(read))


def test_the_field_is_as_the_format_says() -> None:
    assert sparse.text(9000, ((0, 4096), (8192, 808))) == b"9000:0+4096,8192+808"
    assert sparse.text(5, ()) == b"5:"


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"5",
            b":",
            b"5:0",
            b"5:0+",
            b"5:0+1,",
            b"5:,",
            b"5:0+0",
            b"5:0+6",
            b"5:5+1",
            b"9:4+1,0+1",
            b"9:0+2,1+2",
        ),
        *(b"9:0+2,2+1", b"-5:", b"5:-1+2", b"5: 0+1", b"9223372036854775808:", b"5:0+1\n", b"5:0+1 ./x"),
    ],
)
def test_what_are_no_extents_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="extent"):
        sparse.parse(text)
