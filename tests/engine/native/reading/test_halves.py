"""Volumes and sigtars missing together: a file of many volumes is then what it was at some time, or it is not there."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.engine.native.reading import reader
from cya.engine.protocol import Encryption, Report, RestoreJob
from cya.engine.registry import engine_named
from tests.engine.native.reading.forged import Forger, member
from tests.engine.native.reading.histories import History, history
from tests.engine.native.trees import Picture, picture

RANGE = " … "


@pytest.fixture(scope="module")
def made() -> Iterator[History]:
    with history(Encryption()) as found:
        chance = random.Random(21)
        big, other = chance.randbytes(4_600_000), chance.randbytes(2_300_000)
        found.write("a", b"a")
        found.write("big", big)
        found.write("other", other)
        found.write("z", b"z")
        found.backup()
        found.write("a", b"another a")
        found.write("big", big[:1_000_000] + chance.randbytes(3_300_000) + big[1_000_000:])
        found.backup()
        found.write("other", chance.randbytes(2_300_000))
        found.backup()
        yield found


def restored(made: History, place: Path, removed: list[str]) -> tuple[Picture, Report]:
    source, destination = place / "harmed", place / "restored"
    source.mkdir()
    for name in set(os.listdir(made.target)) - set(removed):
        os.link(made.target / name, source / name)
    report = made.restore(destination, source=source)
    found = picture(destination)
    shutil.rmtree(source)
    shutil.rmtree(destination)
    return found, report


@pytest.mark.slow
@pytest.mark.parametrize("without", ["sigtar", "sigtar and manifest"])
def test_a_volume_and_what_tells_of_it_missing_leave_no_half_file(
    made: History, tmp_path: Path, without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_FEW", 1 << 60)
    names = sorted(os.listdir(made.target))
    volumes = [name for name in names if "difftar" in name]
    assert len([name for name in volumes if "full" in name]) >= 6
    now = made.truth[made.now]
    for volume in volumes:
        time = volume.split(".vol")[0].removeprefix("duplicity-full.").removeprefix("duplicity-inc.")
        found, report = restored(
            made,
            tmp_path,
            [volume, *(name for name in names if time + "." in name and any(kind in name for kind in without.split()))],
        )
        lost = {os.fsencode(each.path) for each in report.lost}
        vague = any(RANGE in each.path for each in report.lost)
        assert report.lost, volume
        for path, what in now.items():
            if path in found and stat.S_ISREG(what[0]):
                was = [truth[path][4] for truth in made.truth.values()]
                assert found[path][4] in was, (volume, path)
                assert found[path] == what or vague, (volume, path)
            elif path not in found:
                assert path in lost or vague, (volume, path)


@pytest.mark.slow
def test_a_volume_with_nothing_but_the_middle_of_a_file_costs_that_file_by_its_name(
    made: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_FEW", 1 << 60)
    names = os.listdir(made.target)
    for kind in ("full", "inc"):
        manifest = next(
            made.target / name for name in sorted(names) if name.startswith(f"duplicity-{kind}") and "manifest" in name
        )
        number = next(
            text.split(":")[0].strip() for text in manifest.read_text().split("Volume ")[1:] if text.count(" big ") == 2
        )
        stem = manifest.name.removesuffix(".manifest")
        gone = [name for name in names if f"{stem}.vol{number}." in name]
        gone += [name for name in names if f"signatures.{stem.split('.', 1)[1]}.sigtar" in name]
        assert len(gone) == 2
        found, report = restored(made, tmp_path, gone)
        assert [each.path for each in report.lost] == ["big"], kind
        assert found.keys() == made.truth[made.now].keys() - {b"big"}


@pytest.mark.parametrize("newer", [True, False])
def test_a_lost_version_is_named_only_if_it_counts(tmp_path: Path, newer: bool) -> None:
    forger = Forger(tmp_path / "target")
    lines = b"".join(
        b"Volume %d:\n    StartingPath   file %d\n    EndingPath     file %d\n" % ((n,) * 3) for n in (1, 2, 3)
    )
    forger.increment(*([member(b"multivol_snapshot/file/%d" % n, bytes(512))] for n in (1, 2, 3)), manifest=lines)
    if newer:
        forger.increment([member(b"snapshot/file", b"new")])
    for path in forger.target.glob("*full*vol2*"):
        path.unlink()
    (tmp_path / "dest").mkdir()
    engine = engine_named("native", tmp_path / "cache")
    report = engine.restore(RestoreJob(forger.target, tmp_path / "dest", forger.now, Encryption()))
    assert len(report.damaged) == 1
    assert [each.path for each in report.lost] == ([] if newer else ["file"])
    assert [path.read_bytes() for path in (tmp_path / "dest").iterdir()] == ([b"new"] if newer else [])
