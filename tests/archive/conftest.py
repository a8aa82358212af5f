"""An archive root in a temporary directory, and a client that uploads stand-in increments."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cya import catalog
from cya.archive.collect import Collected, collect
from cya.archive.init import init_archive
from cya.config.root import RootConfig
from cya.format.collection import collect as collect_names
from tests.standin import write_increment


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Site:
    """One root, as its archive and its client see it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.next = root / "incoming" / "next"
        self.state = root / "state"

    def collect(self, now: str) -> Collected:
        return collect(self.root, at(now))

    def write(self, now: str, *, full: bool = False, volumes: int = 1) -> list[str]:
        """Upload one increment on top of what is served, without the marker; return its names."""
        served = [files.end for files in collect_names(p.name.encode() for p in self.next.iterdir()).sets]
        start = max(served) if served and not full else None
        return write_increment(self.next, start, int(at(now).timestamp()), volumes)

    def finish(self, names: list[str]) -> None:
        """Upload the marker."""
        files = [
            {"name": name, "size": (self.next / name).stat().st_size, "sha256": digest(self.next / name)}
            for name in names
        ]
        (self.next / "FINISHED").write_text(json.dumps({"version": 1, "files": files}))

    def upload(self, now: str, *, full: bool = False, volumes: int = 1) -> list[str]:
        names = self.write(now, full=full, volumes=volumes)
        self.finish(names)
        return names

    def day(self, now: str, *, full: bool = False, volumes: int = 1) -> Collected:
        """Collect, upload, collect: what a day is."""
        self.collect(now)
        self.upload(now, full=full, volumes=volumes)
        return self.collect(now)

    @property
    def catalog(self) -> catalog.Catalog:
        return catalog.read(self.root)

    def listing(self) -> list[str]:
        """Everything below the root: name, mode, owner, contents, and the first name that a hard link has.

        Without what is another each time: inodes, and the time of serving.
        """
        lines, first = [], dict[int, str]()
        for path in sorted(self.root.rglob("*")):
            name, found = str(path.relative_to(self.root)), path.lstat()
            if name == "state/log":  # a line may be there twice
                continue
            what = "directory"
            if path.is_file():
                what = digest(path) if path.name != "served.json" else self._served(path)
            lines.append(f"{name} {found.st_mode:o} {found.st_uid} {first.setdefault(found.st_ino, name)} {what}")
        return lines

    def _served(self, path: Path) -> str:
        record = json.loads(path.read_text())
        return json.dumps([record["leaf"], record["base"], record["chain"], [file["name"] for file in record["files"]]])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    root = tmp_path / "web1"
    init_archive(root, RootConfig())
    return Site(root)
