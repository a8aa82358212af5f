"""The cache may be damaged or lost at any time: the next increment is right, and the cache is whole again."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cya.engine.native import index
from cya.engine.native.state import records
from tests.engine.native.conftest import Lab


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def lengthened(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"junk")


def flipped(at: float) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(at * (len(data) - 1))] ^= 0x55
        path.write_bytes(data)

    return flip


DAMAGE: dict[str, Callable[[Path], None]] = {
    "removed": Path.unlink,
    "cut off": cut,
    "emptied": emptied,
    "lengthened": lengthened,
    **{f"flipped at {at}": flipped(at) for at in (0.0, 0.01, 0.3, 0.6, 0.99, 1.0)},
}


@pytest.fixture
def used(lab: Lab) -> Lab:
    """With a full and an increment, and changes that need signatures of both."""
    chance = random.Random(1)
    for number in range(40):
        (lab.source / f"file{number}").write_bytes(chance.randbytes(20_000))
    (lab.source / "large").write_bytes(chance.randbytes(900_000))
    lab.backup()
    for number in range(20):
        (lab.source / f"file{number}").write_bytes(chance.randbytes(20_000))
    lab.backup()
    for name in ("file3", "file30", "large"):
        with (lab.source / name).open("r+b") as file:
            file.seek(10_000)
            file.write(b"changed")
    return lab


def caches(lab: Lab) -> list[Path]:
    return [lab.cache / "index", *sorted((lab.cache / "archive-dir/backup").iterdir())]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_the_cache_is_noticed_and_made_again(used: Lab, damage: str, number: int) -> None:
    DAMAGE[damage](caches(used)[number])
    assert used.backup().lost == ()
    assert used.is_restored()
    used.backup()
    assert index.read_header(used.cache / "index") is not None
    for path in caches(used):
        if "sigtar" in path.name:
            assert list(records(0, path)) or path.stat().st_size < 100
    assert used.is_restored()


def test_a_lost_cache_is_fetched_again(used: Lab) -> None:
    for path in caches(used):
        path.unlink()
    report = used.backup()
    assert report.kind == "inc"
    assert report.statistics["ChangedFiles"] == 3
    assert used.is_restored()


def test_a_delta_is_made_against_the_signature_that_was_there(used: Lab) -> None:
    used.backup()
    assert sum(path.stat().st_size for path in used.volumes()) < 30_000
