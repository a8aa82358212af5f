"""The native engine on a small tree, and stock to read what it made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cya.engine.duplicity import Duplicity
from cya.engine.native.native import Native
from cya.engine.protocol import BackupJob, Encryption, Report, RestoreJob
from tests import stock
from tests.engine.native.trees import Picture, picture


class Lab:
    """A source, a target, a cache, and the engine.

    :ivar job: what :meth:`backup` does, but for the time.
    """

    def __init__(self, place: Path, home: Path) -> None:
        self.place, self.home = place, home
        self.source, self.target, self.cache = place / "source", place / "target", place / "cache"
        self.source.mkdir(exist_ok=True)
        self.target.mkdir()
        self.now = 1_100_000_000
        self.job = BackupJob(self.source, self.target, 0, Encryption(), volume_size=1)

    @property
    def engine(self) -> Native:
        return Native(str(stock.program("3")), self.cache, self.home)

    def backup(self, **changes: object) -> Report:
        """Make the next increment."""
        self.now += 100
        return self.engine.backup(replace(self.job, now=self.now, **changes))  # type: ignore[arg-type]

    def restored(self, time: int | None = None) -> Path:
        """Restore by stock with a cache of its own."""
        time = self.now if time is None else time
        place = self.place / f"restored {time} {len(list(self.place.iterdir()))}"
        place.mkdir()
        reader = Duplicity(str(stock.program("3")), self.place / "reader", self.home)
        reader.restore(RestoreJob(self.target, place, time, self.job.encryption))
        return place

    def picture(self) -> Picture:
        return picture(self.source)

    def is_restored(self) -> bool:
        """Whether the last backup is what the source is now."""
        return picture(self.restored()) == self.picture()

    def volumes(self) -> list[Path]:
        """The volumes of the last increment."""
        return sorted(path for path in self.target.glob("*.difftar*") if self.stamp() in path.name)

    def stamp(self) -> str:
        from cya.format.times import time_to_name

        return f".to.{time_to_name(self.now).decode()}."


Make = Callable[[], Lab]


@pytest.fixture
def lab(tmp_path: Path, gnupg_home: Path) -> Lab:
    """An empty source, and nothing backed up yet."""
    return Lab(tmp_path, gnupg_home)
