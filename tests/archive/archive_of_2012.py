"""Makes roots as the cya of 2012 left them, by its rules as they are documented.

``next_info`` holds the base and the leaf. All files of ``finished`` go into every period from the leaf up to the base:
the increment, and of older backups the sigtars and manifests that had been served; their volumes stay where they were.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from cya.tree.levels import Calendar
from tests.standin import write_increment


class Root2012:
    """A root of 2012, with its client."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.backups, self.incoming = root / "backups", root / "incoming"
        self.backups.mkdir(parents=True, mode=0o700)
        self.incoming.mkdir()

    def collect(self, day: str) -> None:
        if (self.incoming / "next").exists():
            return
        if (self.incoming / "finished").exists():
            self._process_finished()
        level = leaf = "/".join(Calendar().leaf(_moment(day)))
        while "/" in level and not list(self.backups.glob(f"{level}/files/*.manifest*")):
            level = level.rpartition("/")[0]
        (self.root / "next_info").write_text(f"{level}\n{leaf}\n")
        (self.incoming / "next").mkdir()
        for path in [*self.backups.glob(f"{level}/files/*.sigtar*"), *self.backups.glob(f"{level}/files/*.manifest*")]:
            os.link(path, self.incoming / "next" / path.name)

    def _process_finished(self) -> None:
        base, leaf = (self.root / "next_info").read_text().splitlines()
        finished = self.incoming / "finished"
        parts = leaf.split("/")
        for depth in range(len(base.split("/")), len(parts) + 1):
            files = self.backups.joinpath(*parts[:depth], "files")
            files.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in finished.iterdir():
                if not (files / path.name).exists():
                    os.link(path, files / path.name)
                path.chmod(0o444)
        for path in finished.iterdir():
            path.unlink()
        finished.rmdir()

    def upload(self, day: str, volumes: int = 1) -> None:
        """What the client of 2012 does: upload into ``next``, then rename it."""
        nxt = self.incoming / "next"
        ends = [_end(path.name) for path in nxt.iterdir()]
        write_increment(nxt, max(ends, default=None), _moment(day), volumes)
        nxt.rename(self.incoming / "finished")

    def day(self, day: str, volumes: int = 1) -> None:
        self.upload(day, volumes)
        self.collect(day)


def _moment(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def _end(name: str) -> int:
    stamp = [part for part in name.split(".") if part.endswith("Z") and "T" in part][-1]
    return int(datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
