"""Of a volume with an index only the parts are read that may hold what is wanted."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.engine.native.gpg import Gpg
from cya.engine.native.reading import indexed
from cya.engine.native.reading.manifests import volumes_of
from cya.engine.native.reading.opening import Opener
from cya.engine.protocol import RestoreJob
from cya.engine.registry import engine_named
from cya.format import volume_index
from cya.format.volume_index import Place
from tests import stock
from tests.engine.native.reading.histories import SECRET, History, history
from tests.engine.native.trees import Picture, picture

GPG = Gpg(Path("/nowhere"), None)  # a passphrase needs none
WANTED = ("dir/000", "dir/063", "dir/119", "dir", "large", "after", "link", "deeper/er/er/file", "deeper")


@pytest.fixture(scope="module")
def made() -> Iterator[History]:
    with history() as found:
        chance = random.Random(5)
        for number in range(120):
            found.write(f"dir/{number:03}", chance.randbytes(15_000))
        found.write("after", b"the last one of all others")
        found.write("large", chance.randbytes(2_500_000))
        found.write("deeper/er/er/file", chance.randbytes(70_000))
        (found.source / "link").symlink_to("large")
        found.backup()
        for number in range(0, 120, 3):
            found.write(f"dir/{number:03}", chance.randbytes(15_001))
        (found.source / "dir/001").unlink()
        found.write("large", (found.source / "large").read_bytes() + b"more")
        found.backup()
        yield found


def restored(made: History, tmp_path: Path, path: str, source: Path) -> tuple[bool, list[str]]:
    """Whether a path is restored as it should be; and what is said to be lost. Never is anything in it wrong."""
    to = tmp_path / "to"
    shutil.rmtree(to, ignore_errors=True)
    report = made.restore(to, source=source, paths=(Path(path),))
    found, truth = picture(to), made.truth[made.now]
    mine = below(truth, path)
    assert mine
    lost = [each.path for each in report.lost]
    named = {name for each in lost for name in below(truth, each)}
    assert {name for name in mine if found.get(name) != truth[name]} <= named
    return all(found.get(name) == truth[name] for name in mine), lost


def below(truth: Picture, path: str) -> set[bytes]:
    key = path.encode()
    return {name for name in truth if name == key or name.startswith(key + b"/")}


def volumes(place: Path) -> list[Path]:
    return sorted(place.glob("*.difftar.gpg"))


@pytest.mark.parametrize("path", WANTED)
def test_what_is_wanted_is_restored_whatever_becomes_of_the_rest(made: History, tmp_path: Path, path: str) -> None:
    """A byte of each volume is changed, at one place after the other: the more often it does not matter, the better."""
    damaged = tmp_path / "damaged"
    whole, tries = 0, 16
    for tried in range(tries):
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(made.target, damaged)
        for volume in volumes(damaged):
            content = bytearray(volume.read_bytes())
            content[(len(content) - 1) * tried // (tries - 1)] ^= 4
            volume.write_bytes(content)
        is_whole, lost = restored(made, tmp_path, path, damaged)
        assert is_whole or lost
        whole += is_whole
    few = len(below(made.truth[made.now], path)) < 10 and path != "large"
    assert whole >= (tries // 2 if few else 0), whole


def test_a_damaged_index_is_done_without(made: History, tmp_path: Path) -> None:
    """The volume is read as a whole then; and as a whole it is damaged, which is said."""
    damaged = tmp_path / "damaged"
    shutil.copytree(made.target, damaged)
    for volume in volumes(damaged):
        content = bytearray(volume.read_bytes())
        content[-60] ^= 1
        volume.write_bytes(content)
    assert restored(made, tmp_path, "dir/063", damaged) == (False, ["dir/063"])


def test_parts_are_read_and_no_more(made: History, tmp_path: Path) -> None:
    opener = Opener(SECRET.passphrase, GPG)
    sizes = {}
    for volume, place in places(made):
        with indexed.opened(volume, opener, place, [b"dir\x00063"]) as some:
            assert some is not None
            sizes[volume.name] = sum(len(piece) for piece in iter(lambda: some(1), b""))
        with indexed.opened(volume, opener, place, [b""]) as some:
            assert some is None, "all of it is wanted"
        with indexed.opened(volume, opener, None, [b"dir\x00063"]) as some:
            assert some is None
        with indexed.opened(volume, opener, place, []) as some:
            assert some is None
    assert 15_000 < sum(sizes.values()) < len(sizes) * 500_000
    assert any(size < 300_000 for size in sizes.values())


def places(made: History) -> Iterator[tuple[Path, Place]]:
    for path in sorted(made.target.glob("*.manifest.gpg")):
        with Opener(SECRET.passphrase, GPG).opened(path) as read:
            told = volumes_of(read)
        for info in told.volumes:
            place = volume_index.parse_place(info.hashes[volume_index.NAME])
            assert place is not None
            stem = path.name.removesuffix("manifest.gpg")
            yield path.with_name(f"{stem}vol{info.number}.difftar.gpg"), place


def test_a_file_that_is_changed_after_it_was_proved_is_noticed(made: History, tmp_path: Path) -> None:
    volume, place = next(places(made))
    copy = tmp_path / volume.name
    shutil.copy(volume, copy)
    opener = Opener(SECRET.passphrase, GPG)
    with indexed.opened(copy, opener, place, [b"dir\x00000"]) as some:
        assert some is not None
        content = bytearray(copy.read_bytes())
        for at in range(100, len(content), 1000):
            content[at] ^= 1
        with copy.open("r+b") as file:
            file.write(content)
        with pytest.raises(ValueError, match="has been changed while it was read"):
            list(iter(lambda: some(1), b""))


@pytest.mark.parametrize("version", ["0.8", "3"])
def test_stock_restores_one_file_of_volumes_with_an_index(made: History, tmp_path: Path, version: str) -> None:
    engine = engine_named("duplicity", tmp_path / "cache", made.home, str(stock.program(version)))
    (tmp_path / "to").mkdir()
    engine.restore(RestoreJob(made.target, tmp_path / "to", made.now, SECRET, paths=(Path("dir/063"),)))
    assert (tmp_path / "to/dir/063").read_bytes() == (made.source / "dir/063").read_bytes()
