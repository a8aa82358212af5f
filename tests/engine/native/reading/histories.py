"""Chains to restore, and what is compared after it."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cya.engine.native.native import Native
from cya.engine.protocol import BackupJob, Encryption, Report, RestoreJob
from cya.engine.registry import engine_named
from tests import stock
from tests.engine.native.trees import Picture, picture

SECRET = Encryption("correct horse")
START = 1_100_000_000


class History:
    """A tree that is backed up again and again.

    :ivar truth: what it was at each time.
    """

    def __init__(self, place: Path, home: Path, encryption: Encryption = SECRET) -> None:
        self.place, self.home, self.encryption = place, home, encryption
        self.source, self.target = place / "source", place / "target"
        self.source.mkdir()
        self.target.mkdir()
        self.truth: dict[int, Picture] = {}
        self.now = START

    def backup(self, maker: str = "native", **changes: object) -> Report:
        """Make the next increment by an engine of :data:`tests.stock.MAKERS`."""
        self.now += 100
        version, name = stock.MAKERS[maker]
        engine = engine_named(name, self.place / "cache", self.home, str(stock.program(version)))
        job = BackupJob(self.source, self.target, self.now, self.encryption, volume_size=1)
        made = engine.backup(replace(job, **changes))  # type: ignore[arg-type]
        self.truth[self.now] = picture(self.source)
        return made

    def engine(self) -> Native:
        engine = engine_named("native", self.place / "reader", self.home)
        assert isinstance(engine, Native)
        return engine

    def restore(
        self, destination: Path, time: int | None = None, source: Path | None = None, **changes: object
    ) -> Report:
        """Restore the last backup, or another one, by the native engine."""
        destination.mkdir(exist_ok=True)
        job = RestoreJob(source or self.target, destination, time or self.now, self.encryption)
        return self.engine().restore(replace(job, **changes))  # type: ignore[arg-type]

    def write(self, path: str, content: bytes) -> None:
        (self.source / path).parent.mkdir(parents=True, exist_ok=True)
        (self.source / path).write_bytes(content)


@contextmanager
def history(encryption: Encryption = SECRET) -> Iterator[History]:
    """An empty tree, and no backup yet."""
    with tempfile.TemporaryDirectory() as place, stock.gpg_home() as home:
        yield History(Path(place), home, encryption)


def usual(made: History) -> None:
    """Three increments: files that cross volumes, changed, replaced and deleted ones, directories and links."""
    chance = random.Random(11)
    for number in range(12):
        made.write(f"dir{number % 3}/small{number}", chance.randbytes(2_000 * number))
    made.write("dir1/large", chance.randbytes(2_500_000))
    made.write("dir1/other", chance.randbytes(900_000))
    (made.source / "dir2/link").symlink_to("small2")
    made.write("becomes a directory", b"file")
    made.backup()
    for number in (1, 4, 5, 7):
        made.write(f"dir{number % 3}/small{number}", chance.randbytes(2_000 * number + 9))
    large = bytearray((made.source / "dir1/large").read_bytes())
    large[1_000_000:1_000_100] = chance.randbytes(100)
    made.write("dir1/large", bytes(large) + chance.randbytes(1_300_000))
    (made.source / "becomes a directory").unlink()
    made.write("becomes a directory/new", b"new")
    (made.source / "dir0/small3").unlink()
    os.chmod(made.source / "dir0", 0o750)
    made.backup()
    made.write("dir1/small4", b"again")
    made.write("dir1/large", bytes(large[500_000:]))
    made.write("dir2/late", chance.randbytes(1_500_000))
    shutil.rmtree(made.source / "becomes a directory")
    (made.source / "becomes a directory").symlink_to("dir0")
    made.backup()
