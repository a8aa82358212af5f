"""Root restores into a directory of somebody who swaps, as fast as possible, what is put there."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from cya.engine import placing, scratch
from cya.engine.native.reading import reader
from cya.engine.native.reading.parts import Range, Ranges
from cya.engine.protocol import Encryption
from cya.errors import CyaError, EngineError
from tests.engine.native.reading.histories import History, history, usual
from tests.engine.native.trees import picture
from tests.hostile.villain import Villain
from tests.hostile.world import needs_root, open_to_all

SECONDS = 3.0
"""That each race is run for."""
NAMES = [
    f"{kind}-{label}"
    for kind in ("directories", "made", "parts", "spill", "events", "actions")
    for label in ("0-1", "0-2", "0-3", "1-1", "2-1", "0", "1", "2")
] + ["expected", "lost-plan", "new-own"]
"""Files of a working directory."""


class Scene(NamedTuple):
    """What the destination's owner sees.

    :ivar own: a directory of its own on the same file system.
    :ivar victim: a directory of root's with files that are named as those of working directories.
    """

    destination: Path
    own: Path
    victim: Path


@pytest.fixture(scope="module")
def made() -> Iterator[History]:
    with history(Encryption()) as found:
        usual(found)
        yield found


@pytest.fixture
def scene() -> Iterator[Scene]:
    nobody = pwd.getpwnam("nobody")
    with open_to_all() as base:
        scene = Scene(base / "destination", base / "own", base / "victim")
        for path in scene:
            path.mkdir(mode=0o755)
        for path in scene[:2]:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        (scene.victim / "directory").mkdir(mode=0o711)
        for name in NAMES:
            (scene.victim / name).write_text("victim")
            (scene.victim / name).chmod(0o600)
        yield scene


def links(it: Scene) -> Iterator[None]:
    """Puts a link to root's directory in the place of each working directory."""
    yield
    for number in range(1 << 40):
        with suppress(OSError):
            for name in os.listdir(it.destination):
                if name.startswith(placing.PREFIX) and not (it.destination / name).is_symlink():
                    os.rename(it.destination / name, it.destination / f"aside {number}")
                    os.symlink(it.victim, it.destination / name)


def directories(it: Scene) -> Iterator[None]:
    """Puts a directory of its own there, with links to root's files in it."""
    (it.own / "trap").mkdir()
    for name in NAMES:
        (it.own / "trap" / name).symlink_to(it.victim / name)
    (it.own / "trap/directory").symlink_to(it.victim / "directory")
    yield
    trap = it.own / "trap"
    for number in range(1 << 40):
        with suppress(OSError):
            for name in os.listdir(it.destination):
                place = it.destination / name
                if name.startswith(placing.PREFIX) and place.stat().st_uid == 0:
                    os.rename(place, it.destination / f"aside {number}")
                    os.rename(trap, place)
                    trap = place


@needs_root
@pytest.mark.parametrize("few", [-1, 1 << 60], ids=["workers", "alone"])
@pytest.mark.parametrize("attack", [links, directories])
def test_whatever_takes_the_place_of_the_working_directory_nothing_outside_is_touched(
    made: History, scene: Scene, attack: object, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_FEW", few)
    before = picture(scene.victim)
    with Villain(pwd.getpwnam("nobody"), attack, scene) as villain:  # type: ignore[arg-type]
        villain.let_loose()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            with suppress(CyaError):
                assert made.restore(scene.destination, existing="replace").lost == ()
            assert picture(scene.victim) == before
            os.chown(scene.destination, *[pwd.getpwnam("nobody").pw_uid] * 2)
    aside = [path for path in scene.destination.iterdir() if path.name.startswith("aside")]
    assert aside, "it has swapped nothing"
    assert all(os.listdir(path) == [] for path in aside if path.stat().st_uid == 0)  # no plaintext stays
    for path in (*aside, *scene.destination.glob(f"{placing.PREFIX}*")):
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
    made.restore(scene.destination, existing="replace")
    assert picture(scene.destination) == made.truth[made.now]
    assert picture(scene.victim) == before


@needs_root
@pytest.mark.parametrize("other", ["a link", "somebody else's directory", "one with something in it"])
def test_a_working_directory_that_is_another_at_once_is_not_used(
    scene: Scene, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = picture(scene.victim)
    real = os.mkdir

    def mkdir(name: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        place = scene.destination / name
        if other == "a link":
            place.symlink_to(scene.victim)
            return
        real(name, mode, dir_fd=dir_fd)
        if other == "somebody else's directory":
            os.chown(place, pwd.getpwnam("nobody").pw_uid, -1)
        else:
            (place / "of root").touch()

    monkeypatch.setattr(os, "mkdir", mkdir)
    with (
        pytest.raises(EngineError, match=f"{scene.destination}: no directory can be made in it"),
        scratch.held(scene.destination, placing.PREFIX),
    ):
        pass
    assert picture(scene.victim) == before
    if other == "one with something in it":
        assert all(os.listdir(path) == ["of root"] for path in scene.destination.iterdir())


def test_a_working_directory_is_removed_whatever_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "parent").mkdir()
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o711)
    (victim / "file").touch()
    with scratch.held(tmp_path / "parent", placing.PREFIX) as work:
        deep = os.open(work, os.O_RDONLY)
        for number in range(2_000):
            os.mkdir("deep", dir_fd=deep)
            os.symlink(victim, "link", dir_fd=deep)
            deeper = os.open("deep", os.O_RDONLY, dir_fd=deep)
            if number % 5 == 0:
                os.fchmod(deep, 0o500)
            os.close(deep)
            deep = deeper
        os.close(deep)
        (work / "closed").mkdir()
        (work / "closed/file").touch()
        (work / "closed").chmod(0)
    assert os.listdir(tmp_path / "parent") == []
    assert os.listdir(victim) == ["file"]
    assert stat.S_IMODE(victim.stat().st_mode) == 0o711


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", ""])
def test_a_part_that_is_said_to_lie_elsewhere_is_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "work").mkdir()
    with pytest.raises(OSError, match="is not a file of the working directory"):
        Ranges(tmp_path / "work", [Range(name, 0, 5)]).read_at(0, 5)
