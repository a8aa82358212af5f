"""Other file systems that are mounted below the destination."""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cya.engine import placing, scratch
from cya.engine.native.reading import reader
from cya.engine.protocol import Encryption, Report, RestoreJob
from cya.engine.registry import engine_named
from cya.errors import EngineError
from tests.engine.native.reading.forged import Forger, copy, delta, literal, member
from tests.hostile.world import needs_root

pytestmark = needs_root
LARGE = 300_000
Restoring = Callable[[], Report]


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    if subprocess.run(["mount", *options, place], check=False, capture_output=True).returncode:
        pytest.skip("cannot mount here")
    try:
        yield
    finally:
        gc.collect()  # an error may hold frames, and those files that are open
        subprocess.run(["umount", place], check=True)


@pytest.fixture
def forger(tmp_path: Path) -> Forger:
    """Files at the top and in ``mount``; one of those is changed."""
    made = Forger(tmp_path / "target")
    made.increment(
        [member(b"snapshot/a", b"a"), member(b"snapshot/mount", kind=b"5", mode=0o755)],
        [member(b"snapshot/mount/changed", bytes(LARGE)), member(b"snapshot/mount/new", kind=b"5", mode=0o755)],
        [member(b"snapshot/mount/new/whole", bytes(LARGE)), member(b"snapshot/z", b"z")],
    )
    made.increment([member(b"diff/mount/changed", delta(literal(b"x"), copy(0, LARGE)))])
    return made


@pytest.fixture(params=["alone", "workers"])
def restored(
    request: pytest.FixtureRequest, forger: Forger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Restoring:
    monkeypatch.setattr(reader, "_FEW", 1 << 60 if request.param == "alone" else -1)
    (tmp_path / "dest").mkdir()

    def restore() -> Report:
        job = RestoreJob(forger.target, tmp_path / "dest", forger.now, Encryption(), existing="replace")
        return engine_named("native", tmp_path / "cache").restore(job)

    return restore


@pytest.mark.parametrize("kind", ["read-only", "full", "read-only, of the same file system"])
def test_a_mount_that_cannot_be_written_to_costs_only_what_lies_there(
    restored: Restoring, tmp_path: Path, kind: str
) -> None:
    below = tmp_path / "dest/mount"
    with ExitStack() as stack:
        if kind.endswith("system"):
            below.mkdir()
            stack.enter_context(mounted(below, "--bind", str(below)))
            subprocess.run(["mount", "-o", "remount,bind,ro", below], check=True)
        else:
            stack.enter_context(
                mounted(below, "-t", "tmpfs", "-o", "ro" if kind == "read-only" else "size=64k", "none")
            )
        report = restored()
        assert {each.path for each in report.lost} >= {"mount/changed", "mount/new/whole"}
        assert all(each.reason in ("read-only file system", "no space left on device") for each in report.lost)
        assert report.statistics["RestoredFiles"] == 2
        assert not [name for _, _, names in os.walk(below) for name in names]
    assert {path.name: path.read_bytes() for path in (tmp_path / "dest").iterdir() if path.is_file()} == {
        "a": b"a",
        "z": b"z",
    }


def test_a_destination_that_is_full_ends_the_restore(restored: Restoring, tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "dest", "-t", "tmpfs", "-o", "size=128k", "none"),
        pytest.raises(EngineError, match="the destination cannot be written to: No space left on device"),
    ):
        restored()


def test_what_a_killed_restore_left_on_another_mount_is_removed_and_what_is_in_use_stays(
    restored: Restoring, tmp_path: Path
) -> None:
    below = tmp_path / "dest/mount"
    with mounted(below, "-t", "tmpfs", "none"), scratch.held(tmp_path / "dest", placing.PREFIX) as used:
        for name in (".cya-restore-abcd_123-new", ".cya-restore-abcd_123-7-new"):
            (below / name).write_bytes(b"half")
        (below / "changed").write_bytes(b"old")  # only what replaces something is made beside it
        stays = {f"{used.name}-1-new", ".cya-restore-new", ".cya-restore-abcd_123-new.txt"}
        for name in stays:
            (below / name).write_bytes(b"in use")
        assert restored().lost == ()
        assert set(os.listdir(below)) == stays | {"changed", "new"}
        assert (below / "changed").read_bytes() == b"x" + bytes(LARGE)
