"""A quick stand-in for an engine: it makes increments with the right names, and contents that tell who made them.

Real engines are used wherever contents matter; this one is for hundreds of simulated days of the archive's side.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from cya.engine.protocol import BackupJob, Encryption, Entry, Report, RestoreJob, Watcher
from cya.errors import ClockError
from cya.format import names
from cya.format.collection import collect


class StandIn:
    """Makes increments of ``volumes`` volumes."""

    name = "stand-in"
    restores_damaged = False
    takes_supply = False

    def __init__(self, volumes: int = 1) -> None:
        self.volumes = volumes

    def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
        served = [files for files in collect(map(bytes, _names(job.target))).sets if files.is_metadata_only]
        start = max((files.end for files in served), default=None) if not job.full else None
        if start is not None and job.now <= start:
            raise ClockError("the clock stands before the last backup")
        write_increment(job.target, start, job.now, self.volumes)
        return Report("full" if start is None else "inc", start, job.now)

    def entries(self, source: Path, time: int, encryption: Encryption) -> Iterator[Entry]:
        yield Entry(b".", "dir", time)

    def restore(self, job: RestoreJob, watch: Watcher | None = None) -> Report:
        shutil.copytree(job.source, job.destination, dirs_exist_ok=True)
        return Report(None, None, job.time)

    def forget_partial(self, served: Sequence[bytes]) -> None:
        pass


def _names(directory: Path) -> list[bytes]:
    return [path.name.encode() for path in directory.iterdir()]


def increment_names(start: int | None, end: int, volumes: int = 1, suffix: bytes = b".gpg") -> list[str]:
    """Names of an increment's files, in the order in which duplicity writes them."""
    made = [names.volume(start, end, number, suffix) for number in range(1, volumes + 1)]
    return [name.decode() for name in (*made, names.sigtar(start, end, suffix), names.manifest(start, end, suffix))]


def write_increment(directory: Path, start: int | None, end: int, volumes: int = 1) -> list[str]:
    """Write an increment's files; return their names."""
    made = increment_names(start, end, volumes)
    for name in made:
        (directory / name).write_text(f"contents of {name}\n")
    return made
