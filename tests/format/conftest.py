"""Stock duplicity as a fixture; what needs a version that is not installed is skipped, and says so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.format.stock import Backup, Stock
from tests.stock import PROGRAMS
from tests.stock import program as stock_program


@pytest.fixture(scope="session", params=list(PROGRAMS))
def stock(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    """Each version of duplicity, with a home of its own."""
    program = stock_program(request.param)
    said = subprocess.run([program, "--version"], capture_output=True, check=True, text=True).stdout
    found = re.search(r"duplicity (\d+)\.(\d+)\.(\d+)", said)
    if found is None or not found[0].startswith(f"duplicity {request.param}."):
        pytest.skip(f"{program} is not duplicity {request.param} but {said.strip()!r}")
    home = tmp_path_factory.mktemp(request.param)
    yield Stock(program, home, tuple(map(int, found.groups())))
    if shutil.which("gpgconf"):
        gnupg = {**os.environ, "HOME": str(home), "GNUPGHOME": str(home / ".gnupg")}
        subprocess.run(["gpgconf", "--kill", "all"], env=gnupg, check=False, capture_output=True)


@pytest.fixture(scope="session", params=["plain", "encrypted"])
def made(request: pytest.FixtureRequest, stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """A full and two increments; not to be changed."""
    place = tmp_path_factory.mktemp("made")
    options = ("--no-encryption",) if request.param == "plain" else ()
    if not options and shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    return Backup(stock, place / "source", place / "target", place / "cache", options).make()


@pytest.fixture
def backup(stock: Stock, tmp_path: Path) -> Backup:
    """A place for a plain backup that the test makes, and may change."""
    return Backup(stock, tmp_path / "source", tmp_path / "target", tmp_path / "cache", ("--no-encryption",))
