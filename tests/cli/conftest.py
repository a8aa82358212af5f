"""A host that has lived for two weeks, over the ends of a week, a month and a year: its archive has branches."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cya import catalog, clock
from tests import stock
from tests.e2e import days
from tests.e2e.conftest import Host

FIRST = datetime(2019, 12, 24, 2, tzinfo=UTC)
DAYS = 14

Tree = dict[str, tuple[str, str, int, str | None, int]]


def tree(top: Path) -> Tree:
    """For each path what `cya files` tells, and the exact size: type, mode, mtime, target."""
    seen: Tree = {}
    for folder, folders, names in os.walk(top):
        for path in (Path(folder) / name for name in [".", *names, *folders]):
            found = path.lstat()
            kind = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "pipe"}
            link = os.readlink(path) if path.is_symlink() else None
            seen[str(path.relative_to(top))] = (
                kind[stat.S_IFMT(found.st_mode)],
                f"{stat.S_IMODE(found.st_mode):04o}",
                0 if link else int(found.st_mtime),
                link,
                found.st_size if stat.S_ISREG(found.st_mode) else 0,
            )
    return seen


class Lived:
    """The host, what its tree was after each day, and the day's time as it is typed."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.was: list[Tree] = []
        self.times: list[str] = []

    def day(self, number: int) -> None:
        host = self.host
        days.live(host.source, number)
        if number == 3:
            (host.source / "etc/comes and goes").write_text("first")
        if number == 5:
            (host.source / "etc/comes and goes").unlink()
        if number == 9:
            (host.source / "etc/comes and goes").mkdir()
        if number == 10:
            (host.source / "etc/passwd").chmod(0o600)
        self.times.append(clock.iso(FIRST + timedelta(days=number)))
        host.backup(self.times[-1])
        self.was.append(tree(host.source))

    def json(self, *words: object, **options: Any) -> Any:
        return self.host.json(*words, "--config", self.host.config, **options)

    def sigtar(self, number: int) -> Path:
        """The sigtar of a day, as one directory holds it; all others are links to it."""
        found = catalog.read(self.host.root)
        increment = list(found.merged)[number]
        name = found.merged[increment].sigtar
        assert name is not None
        return found.places(increment)[name]


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """For looking at only."""
    host = Host(tmp_path_factory.mktemp("lived"), stock.program("3"))
    days.begin(host.source)
    host.init(now=clock.iso(FIRST))
    made = Lived(host)
    for number in range(DAYS):
        made.day(number)
    yield made
    host.close()


@pytest.fixture
def damaged(lived: Lived) -> Iterator[Path]:
    """The sigtar of the sixth day, in which a byte is another one; afterwards it is as before."""
    path = lived.sigtar(5)
    good = path.read_bytes()
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(len(good) // 2)
        file.write(bytes([good[len(good) // 2] ^ 1]))
    yield path
    with path.open("r+b") as file:
        file.write(good)


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[Host]:
    """A host with the native engine, nothing backed up yet."""
    made = Host(tmp_path, stock.program("3"))
    yield made
    made.close()


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Host]:
    """A host with Debian's stock program."""
    made = Host(tmp_path, stock.program("0.8"))
    yield made
    made.close()
