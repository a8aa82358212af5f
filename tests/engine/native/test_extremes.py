"""What a source may hold at its most extreme: all is in the backup, or named, and nothing stops it."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cya.engine.native import plan
from cya.engine.native.compare import Change, What
from cya.engine.native.scan import Found
from cya.engine.protocol import VirtualEntry
from cya.format.times import time_to_name
from tests.engine.conftest import needs_root
from tests.engine.native.conftest import Lab

FAR_TIMES = (-(2**31), -(10**9), -1, 0, 2**31, 2**32 + 5, 10**10)
"""Seconds: of 1901, 1938, 1969, 1970, 2038, 2106 and 2286."""


def entries(lab: Lab) -> dict[bytes, bytes]:
    """What the volumes of the last increment hold, by name."""
    found: dict[bytes, bytes] = {}
    stamp = time_to_name(lab.now).decode()
    for path in sorted(lab.target.glob(f"*{stamp}.vol*")):
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes())), mode="r:") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                found[os.fsencode(member.name)] = file.read() if file else b""
    return found


@contextmanager
def way_down(top: Path, names: list[bytes], *, make: bool = False) -> Iterator[int]:
    """Go down, directory by directory; yield the descriptor of the last one."""
    here = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names:
            if make:
                os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def write(directory: int, name: bytes, content: bytes) -> None:
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=directory), "wb") as file:
        file.write(content)


def remove(top: Path, depth: int) -> None:
    """Remove a deep tree; the usual ways do not go that far down. Each step moves the rest up by one."""
    for _ in range(depth):
        inner = next(path for path in top.iterdir() if path.is_dir())
        inner.rename(top / "x")
        for path in list((top / "x").iterdir()):
            path.rename(top / path.name)
        (top / "x").rmdir()


def test_times_of_long_ago_and_far_ahead(lab: Lab) -> None:
    for time in FAR_TIMES:
        (lab.source / f"file {time}").write_bytes(b"%d" % time)
        (lab.source / f"directory {time}").mkdir()
    for path in lab.source.iterdir():
        time = int(path.name.split()[1])
        os.utime(path, (time, time))
    assert lab.backup().lost == ()
    assert lab.is_restored()
    assert lab.backup().statistics["DeltaEntries"] == 0


@needs_root
def test_owners_of_any_number(lab: Lab) -> None:
    for number in (0, 8**7 - 1, 8**7, 2**31, 2**32 - 2):
        (lab.source / f"file {number}").write_bytes(b"%d" % number)
        os.chown(lab.source / f"file {number}", number, number)
    assert lab.backup().lost == ()
    assert lab.is_restored()
    assert lab.backup().statistics["DeltaEntries"] == 0


def test_names_of_any_byte_and_of_255(lab: Lab) -> None:
    top = os.fsencode(lab.source)
    names = [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
    for name in [*names, bytes(range(1, 47)) + bytes(range(48, 256)) + b"x", *(name * 255 for name in names[-3:])]:
        with open(os.path.join(top, name), "wb") as file:
            file.write(name)
    assert lab.backup().lost == ()
    assert lab.is_restored()
    assert lab.backup().statistics["DeltaEntries"] == 0


def test_holes_are_zeros(lab: Lab) -> None:
    with (lab.source / "sparse").open("wb") as file:
        file.truncate(20_000_000)
        file.seek(11_000_000)
        file.write(b"in the middle")
    (lab.source / "empty").touch()
    assert lab.backup().lost == ()
    assert lab.is_restored()
    assert sum(path.stat().st_size for path in lab.target.glob("*.vol*")) < 200_000


@pytest.mark.parametrize(
    "depth", [20, 450, 600], ids=["beyond PATH_MAX", "no room in a unit", "beyond what is sent to a worker"]
)
def test_paths_that_the_kernel_does_not_take_in_one_piece(lab: Lab, depth: int) -> None:
    names = [b"%03d" % number + b"n" * 252 for number in range(depth)]
    path = b"/".join(names)
    with way_down(lab.source, names, make=True) as bottom:
        write(bottom, b"small", b"small")
        write(bottom, b"empty", b"")
        write(bottom, b"large", b"l" * 400_000)
        os.symlink(b"nowhere", b"link", dir_fd=bottom)
    try:
        assert lab.backup().lost == ()
        found = entries(lab)
        assert found[b"snapshot/" + path + b"/small"] == b"small"
        assert found[b"snapshot/" + path + b"/empty"] == b""
        pieces = [found[name] for name in found if name.startswith(b"multivol_snapshot/" + path + b"/large/")]
        assert b"".join(pieces) == b"l" * 400_000
        assert b"snapshot/" + path + b"/link" in found
        assert lab.backup().statistics["DeltaEntries"] == 0
        with way_down(lab.source, names) as bottom:
            write(bottom, b"small", b"other")
        assert lab.backup().lost == ()
        assert entries(lab)[b"snapshot/" + path + b"/small"] == b"other"
    finally:
        remove(lab.source, depth)


@pytest.mark.parametrize("content", [b"some", None])
def test_a_path_too_long_for_a_tar_is_named_and_all_else_is_in_the_backup(lab: Lab, content: bytes | None) -> None:
    (lab.source / "zlast").write_bytes(b"last")
    long = VirtualEntry(b"n" * 1_100_000, content, mtime=10**9)
    report = lab.backup(virtual=(long,))
    assert [lost.path for lost in report.lost] == ["n" * 1_100_000]
    assert entries(lab)[b"snapshot/zlast"] == b"last"
    assert lab.backup().lost == ()


def test_many_files_in_one_directory(lab: Lab) -> None:
    count = 10_000
    (lab.source / "many").mkdir()
    (lab.source / "many" / "0").write_bytes(b"0")
    for number in range(1, count):
        os.link(lab.source / "many" / "0", lab.source / "many" / f"{number}")
    report = lab.backup()
    assert report.lost == ()
    assert report.statistics["NewFiles"] == count + 2
    assert {name for name in entries(lab) if name.startswith(b"snapshot/many/")} - {b"snapshot/many/"} == {
        b"snapshot/many/%d" % number for number in range(count)
    }
    assert lab.backup().statistics["DeltaEntries"] == 0


@pytest.mark.parametrize("size", [1 << 20, 8 << 30, (8 << 30) + 1, 1 << 36])
@pytest.mark.parametrize("old", [None, 512, 2048, 92_672])
def test_the_pieces_of_a_file_of_any_size_are_all_of_it_and_begin_where_blocks_begin(
    tmp_path: Path, size: int, old: int | None
) -> None:
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", size)
    found = Found(b"file", os.stat(tmp_path / "file"), b"")
    capacity = plan.unit_capacity(200 << 20)
    large = plan.Large(Change(What.NEW, found, None), found, plan.block_for(size, old, capacity), None)
    pieces = plan.slices(large, capacity)
    end = 0
    for number, piece in enumerate(pieces, 1):
        assert (piece.number, piece.offset, piece.offset % large.block) == (number, end, 0)
        assert 0 < piece.length < capacity
        end += piece.length
    assert end == size
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
