"""Slices that are holes: what is made of them is what would have been made of the zeros, and nothing is read."""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path

import pytest

from cya.engine.native import packer
from cya.engine.native.holes import is_hole
from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.packer import Packer
from cya.engine.native.tasks import Packed, Slice
from tests.engine.native.conftest import Lab

SLICE = 1 << 20
BLOCK = 2048
DATA = random.Random(6).randbytes(100_000)


def sparse(path: Path, size: int, *places: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
        for place in places:
            file.seek(place)
            file.write(DATA)


def packed(lab: Lab, number: int, length: int = SLICE) -> Packed:
    root = os.open(lab.source, os.O_RDONLY)
    there = (lab.source / "file").stat()
    task = Slice(
        *(b"file", there.st_mode, there.st_uid, there.st_gid, int(there.st_mtime), there.st_ino),
        *(number + 1, False, number * SLICE, length, BLOCK, None),
    )
    made = Packer(root, OldSignatures(()), 2 * SLICE)
    try:
        found = made.pack([task])
        return found._replace(entries=found.entries._replace(deflated=bytes(found.entries.deflated)))
    finally:
        made.close()
        os.close(root)


@pytest.mark.parametrize("length", [SLICE, SLICE - 1000, 5000])
def test_a_hole_is_packed_as_zeros_would_be(lab: Lab, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    sparse(lab.source / "file", 4 * SLICE, 0)
    seen: list[bool] = []

    def looked(file: int, offset: int, size: int) -> bool:
        seen.append(is_hole(file, offset, size))
        return seen[-1]

    monkeypatch.setattr(packer, "is_hole", looked)
    quick = packed(lab, 1, length)
    assert seen == [True]
    monkeypatch.setattr(packer, "is_hole", lambda *_: False)
    read = packed(lab, 1, length)
    inflated = [zlib.decompressobj(-15).decompress(each.entries.deflated) for each in (quick, read)]
    assert inflated[0] == inflated[1]
    assert (quick.entries.length, quick.entries.crc) == (read.entries.length, read.entries.crc)
    assert quick.outcomes == read.outcomes


def test_data_is_no_hole_nor_is_what_is_behind_the_end(lab: Lab) -> None:
    sparse(lab.source / "file", 3 * SLICE, SLICE)
    fd = os.open(lab.source / "file", os.O_RDONLY)
    try:
        found = [is_hole(fd, number * SLICE, SLICE) for number in range(4)]
    finally:
        os.close(fd)
    assert found == [True, False, True, False]


def test_a_file_of_holes_is_stored_changed_and_restored_by_stock(lab: Lab) -> None:
    file = lab.source / "file"
    sparse(file, 40 * SLICE + 777, 3_000_000, 30 * SLICE + 5)
    for metadata in (False, True):
        lab.backup(metadata=metadata)
        assert (lab.restored() / "file").read_bytes() == file.read_bytes()
    with file.open("r+b") as stream:
        stream.seek(20 * SLICE)
        stream.write(DATA)
    report = lab.backup(metadata=True)
    assert report.statistics["RawDeltaSize"] < 200_000
    assert (lab.restored() / "file").read_bytes() == file.read_bytes()
    os.truncate(file, 60 * SLICE)
    with file.open("r+b") as stream:
        stream.write(bytes(100_000))
    lab.backup(metadata=True)
    assert (lab.restored() / "file").read_bytes() == file.read_bytes()
