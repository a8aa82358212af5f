"""The salt of a client's keys: one for a year, random, and of nobody else's choosing."""

from __future__ import annotations

from pathlib import Path

from cya.engine.native.salt import salt_of
from cya.format.openpgp import SALT_SIZE
from tests.archive.conftest import at

JUNE, JULY, JANUARY = (int(at(day).timestamp()) for day in ("2026-06-01", "2026-07-01", "2027-01-01"))


def test_one_for_a_year_and_another_for_the_next_and_for_each_client(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir(mode=0o700)
    june = salt_of(tmp_path / "one", JUNE)
    assert len(june) == SALT_SIZE
    assert salt_of(tmp_path / "one", JULY) == june
    assert salt_of(tmp_path / "one", JANUARY) != june
    assert salt_of(tmp_path / "other", JUNE) != june


def test_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    first = salt_of(tmp_path, JUNE)
    (tmp_path / "salt").write_bytes(first[:3])
    second = salt_of(tmp_path, JUNE)
    assert len(second) == SALT_SIZE
    assert second != first
    assert (tmp_path / "salt").stat().st_mode & 0o077 == 0
