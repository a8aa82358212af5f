"""A small damaged world for the tests of ``cya check``: a root of ten days, and ways to damage it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cya.archive.check import run as checking
from cya.archive.check.outcome import consequences
from cya.archive.check.run import Result, check
from cya.archive.init import init_archive
from cya.config.root import RootConfig
from tests.archive.conftest import Site, at

NOW = "2012-12-20"
INC_8 = "duplicity-inc.*.to.20121208T000000Z"
DAYS = [f"2012-12-{day:02d}" for day in range(4, 14)]  # Tuesday to Thursday of the next week
MONTH, WEEK, NEXT_WEEK = (
    "2000/2010/2012/2012-12",
    "2000/2010/2012/2012-12/2012-12-02",
    "2000/2010/2012/2012-12/2012-12-09",
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of ten days: a full on the 4th, in every directory; weeks of 5 and 6 increments."""
    root = tmp_path_factory.mktemp("template") / "web1"
    init_archive(root, RootConfig())
    site = Site(root)
    for day in DAYS:
        site.day(day, volumes=2)
    return root


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "PAUSES", (0.01,) * 5)


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    """A copy of the template with the same hard links."""
    made: dict[int, str] = {}

    def copy(source: str, destination: str) -> None:
        inode = os.lstat(source).st_ino
        if inode in made:
            os.link(made[inode], destination)
        else:
            shutil.copy2(source, destination)
            os.chown(destination, os.lstat(source).st_uid, os.lstat(source).st_gid)
            made[inode] = destination

    shutil.copytree(template, tmp_path / "web1", copy_function=copy)
    site = Site(tmp_path / "web1")
    shutil.rmtree(site.next)
    site.collect(DAYS[-1])
    return site


def files(site: Site, period: str) -> Path:
    return site.root / "backups" / period / "files"


def the(site: Site, period: str, pattern: str) -> Path:
    (found,) = files(site, period).glob(pattern)
    return found


def run_check(site: Site, budget: float | None = None, now: str = NOW) -> Result:
    return check(site.root, at(now), budget)


def damage(result: Result) -> list[tuple[str, str]]:
    return sorted((f.kind, f.path.rpartition("/")[2]) for f in result.findings if f.damage)


def told(result: Result) -> str:
    return "\n".join(consequences(result.outcome))


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.chmod(0o600)
    path.write_bytes(change(path.read_bytes()))
    path.chmod(0o440)


def flip(data: bytes) -> bytes:
    return data[:5] + bytes([data[5] ^ 1]) + data[6:]
