"""What is brought here for a restore is let go once it is not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cya.engine.native.reading import reader
from cya.engine.native.reading.supply import Here
from cya.engine.protocol import Encryption, RestoreJob
from cya.engine.registry import engine_named
from tests.engine.native.reading.forged import Forger, member


class Counting(Here):
    """A supply that takes note of what is not needed any more."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.released: set[bytes] = set()

    def release(self, name: bytes) -> None:
        self.released.add(name)


@pytest.mark.parametrize("few", [-1, 1 << 60], ids=["workers", "alone"])
def test_all_volumes_are_released_damaged_ones_too(tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_FEW", few)
    forger = Forger(tmp_path / "target")
    forger.increment([member(b"snapshot/a", b"a")], b"no gzip")
    forger.increment([member(b"snapshot/b", b"b")], b"no gzip", [member(b"snapshot/c", b"c")])
    supply = Counting(forger.target)
    (tmp_path / "to").mkdir()
    job = RestoreJob(forger.target, tmp_path / "to", forger.now, Encryption(), supply=supply)
    report = engine_named("native", tmp_path / "cache").restore(job)
    assert len(report.damaged) == 2
    assert supply.released == {name for name in supply.names() if b"difftar" in name}
