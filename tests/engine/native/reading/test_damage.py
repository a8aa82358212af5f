"""Damage: each path is restored as it was, or named as lost; nothing is ever wrong in silence."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cya.engine.native.reading import reader
from cya.engine.protocol import Encryption, Existing, Report
from cya.errors import CyaError, DecryptionFailed
from tests.engine.native.reading.histories import SECRET, History, history, usual
from tests.engine.native.trees import Picture, picture

pytestmark = pytest.mark.slow
RANGE = " … "
MINE: dict[str, set[bytes]] = {
    "refuse": set(),
    "replace": {b"dir2/late"},
    "resume": {b"dir2/late"},
    "keep": {b"dir2/late", b"dir2", b"."},
}
"""What is somebody else's at the destination, and may stay."""


@pytest.fixture(scope="module", params=["encrypted", "plain"])
def made(request: pytest.FixtureRequest) -> Iterator[History]:
    with history(SECRET if request.param == "encrypted" else Encryption()) as found:
        usual(found)
        yield found


@pytest.fixture(params=["alone", "workers"])
def crew(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(reader, "_FEW", 1 << 60 if request.param == "alone" else -1)
    return str(request.param)


class Harm:
    """A copy of a chain that can be harmed, and restored."""

    def __init__(self, made: History, place: Path) -> None:
        self.made, self.place = made, place
        self.names = sorted(os.listdir(made.target))
        self.runs = 0

    def restored(self, harm: Callable[[Path], object], existing: Existing = "refuse") -> tuple[Picture, Report]:
        """Restore a copy that was harmed; what comes back is wrong nowhere in silence."""
        self.runs += 1
        source, destination = self.place / f"harmed {self.runs}", self.place / f"restored {self.runs}"
        source.mkdir()
        for name in self.names:
            os.link(self.made.target / name, source / name)
        harm(source)
        destination.mkdir()
        if existing != "refuse":  # what is there belongs to somebody else
            (destination / "dir2").mkdir()
            (destination / "dir2/late").write_bytes(b"mine")
        report = self.made.restore(destination, source=source, existing=existing)
        found = picture(destination)
        check(self.made.truth[self.made.now], found, report, MINE[existing])
        shutil.rmtree(source)
        shutil.rmtree(destination)
        return found, report


def check(truth: Picture, found: Picture, report: Report, mine: set[bytes]) -> None:
    lost = {os.fsencode(each.path) for each in report.lost}
    vague = any(RANGE in each.path for each in report.lost)
    for path, what in truth.items():
        if path in found and path not in mine:
            assert found[path] == what or vague, (path, lost)
        elif path not in found:
            assert path in lost or vague, path
    if not vague:
        assert found.keys() <= truth.keys()
        assert all(stat.S_ISREG(truth[path][0]) for path in lost), lost


def replaced(path: Path, content: bytes) -> None:
    path.unlink()  # it is a link to what must not change
    path.write_bytes(content)


@pytest.fixture
def harm(made: History, tmp_path: Path) -> Harm:
    return Harm(made, tmp_path)


def is_read(name: str) -> bool:
    """Sigtars are read only when something else is damaged."""
    return "sigtar" not in name


def test_whole_chains_lose_nothing(harm: Harm, crew: str) -> None:
    found, report = harm.restored(lambda source: None)
    assert (report.lost, report.damaged) == ((), ())
    assert found == harm.made.truth[harm.made.now]


def test_any_file_missing_is_named_and_costs_what_it_held(harm: Harm, crew: str) -> None:
    for name in harm.names:
        found, report = harm.restored(lambda source, name=name: (source / name).unlink())  # type: ignore[misc]
        assert len(found) > 5
        if is_read(name):
            assert any("is missing" in each.reason for each in report.damaged), (name, report)
        else:
            assert report.lost == ()
        if "manifest" in name:
            assert report.lost == (), name


def test_any_byte_that_is_another_costs_only_what_the_file_held(harm: Harm) -> None:
    chance = random.Random(5)
    for name in harm.names:
        content = (harm.made.target / name).read_bytes()
        for at in [0, len(content) - 1, chance.randrange(len(content))]:
            wrong = bytearray(content)
            wrong[at] ^= 1 << chance.randrange(8)
            found, report = harm.restored(lambda source: replaced(source / name, bytes(wrong)))  # noqa: B023
            assert len(found) > 5
            if is_read(name) and "manifest" not in name:
                assert [each.path for each in report.damaged] == [name]


@pytest.mark.parametrize("existing", ["replace", "keep", "resume"])
def test_over_what_is_there_a_damaged_chain_is_restored_just_so(harm: Harm, existing: Existing) -> None:
    for name in harm.names[::3]:
        _, report = harm.restored(lambda source, name=name: (source / name).unlink(), existing)  # type: ignore[misc]
        assert bool(report.damaged) == is_read(name)


def test_any_file_cut_off_costs_only_what_it_held(harm: Harm) -> None:
    for name in harm.names:
        content = (harm.made.target / name).read_bytes()
        for size in (0, len(content) - 1):
            found, report = harm.restored(lambda source: replaced(source / name, content[:size]))  # noqa: B023
            assert len(found) > 5
            if size and "manifest" in name and not harm.made.encryption.enabled:
                assert report.damaged == ()  # it lacks the end of its list of files, which nobody needs
            elif is_read(name):
                assert [each.path for each in report.damaged] == [name]


def test_a_manifest_that_lacks_its_last_volumes_is_noticed(harm: Harm) -> None:
    if harm.made.encryption.enabled:
        pytest.skip("nobody can cut off what is encrypted without its being noticed")
    (name,) = (name for name in harm.names if "full" in name and "manifest" in name)
    content = (harm.made.target / name).read_bytes()
    _, report = harm.restored(lambda source: replaced(source / name, content[: content.index(b"Volume 2")]))
    assert [each.path for each in report.damaged] == [name]
    assert "volumes that are there" in report.damaged[0].reason
    assert report.lost == ()


def test_two_files_in_each_other_s_place_are_noticed(harm: Harm) -> None:
    pairs = [(one, other) for one in harm.names for other in harm.names if one < other]
    for one, other in random.Random(6).sample(pairs, 12):

        def swap(source: Path, one: str = one, other: str = other) -> None:
            os.rename(source / one, source / "aside")
            os.rename(source / other, source / one)
            os.rename(source / "aside", source / other)

        _, report = harm.restored(swap)
        if is_read(one) or is_read(other):
            assert report.damaged


def test_any_two_files_missing_are_noticed(harm: Harm) -> None:
    pairs = [(one, other) for one in harm.names for other in harm.names if one < other]
    for pair in random.Random(7).sample(pairs, 12):

        def remove(source: Path, pair: tuple[str, str] = pair) -> None:
            for name in pair:
                (source / name).unlink()

        try:
            harm.restored(remove)
        except CyaError as error:
            assert not isinstance(error, DecryptionFailed)  # noqa: PT017
            assert all(name.split(".")[1] == pair[0].split(".")[1] for name in pair)


def test_paths_of_a_damaged_chain_are_restored_or_named(harm: Harm) -> None:
    for name in harm.names:
        source = harm.place / "some"
        shutil.copytree(harm.made.target, source)
        (source / name).unlink()
        destination = harm.place / "to"
        report = harm.made.restore(destination, source=source, paths=(Path("dir1"), Path("dir2/late")))
        found = picture(destination)
        lost = {os.fsencode(each.path) for each in report.lost}
        for path, what in harm.made.truth[harm.made.now].items():
            if path == b"dir2/late" or path.startswith(b"dir1"):
                assert found.get(path) == what or (path in lost and path not in found), path
        shutil.rmtree(source)
        shutil.rmtree(destination)
