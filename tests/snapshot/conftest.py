"""Real file systems with a client on them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import loop_mounted, own_mounts
from tests.snapshot.site import Site

ENGINES = ("native", "duplicity")


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """A btrfs, mounted at its top in a namespace that nobody else sees."""
    with own_mounts(), loop_mounted(tmp_path / "btrfs", 300, "mkfs.btrfs", "-q") as place:
        yield place


@pytest.fixture(params=ENGINES)
def site(request: pytest.FixtureRequest, tmp_path: Path, btrfs: Path) -> Site:
    """A client whose source is a directory on a btrfs."""
    if shutil.which("btrfs") is None:
        pytest.skip("not installed: btrfs")
    (tmp_path / "client").mkdir()
    return Site(tmp_path / "client", btrfs, request.param)
