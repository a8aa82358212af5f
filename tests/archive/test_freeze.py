"""Freezing: whoever has a file of an upload open for writing is waited for, and cannot change what is committed."""

from __future__ import annotations

import mmap
import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from cya.archive.accept import PATIENCE
from cya.archive.state import State
from tests.archive.conftest import Site, at, digest
from tests.standin import increment_names

DAY = "2012-12-05"


def volume(site: Site) -> Path:
    return next(path for path in site.next.iterdir() if "vol1" in path.name)


def hold_descriptor(path: Path, stack: ExitStack) -> Callable[[], object]:
    file = stack.enter_context(path.open("r+b", buffering=0))

    def spoil() -> None:
        file.write(b"EVIL")
        file.truncate(4)

    return spoil


def hold_mapping(path: Path, stack: ExitStack) -> Callable[[], object]:
    with path.open("r+b") as file:
        mapped = stack.enter_context(mmap.mmap(file.fileno(), 0))
    return lambda: mapped.__setitem__(slice(0, 4), b"EVIL")


@pytest.mark.parametrize("hold", [hold_descriptor, hold_mapping])
def test_an_upload_that_is_still_open_waits_and_is_then_committed_by_copy(
    site: Site, hold: Callable[[Path, ExitStack], Callable[[], object]]
) -> None:
    site.day("2012-12-04")
    names = site.upload(DAY)
    announced = {name: digest(site.next / name) for name in names}
    with ExitStack() as stack:
        write = hold(volume(site), stack)
        for _ in range(PATIENCE):
            done = site.collect(DAY)
            assert done.state is State.TAKEN
            assert not done.committed
            assert "open for writing" in done.deferred[0]
        done = site.collect(DAY)
        assert [increment.end for increment in done.committed] == [int(at(DAY).timestamp())]
        assert done.state is State.SERVED
        write()
        committed = {path for name in names for path in site.root.glob(f"backups/**/{name}")}
        assert {path.name: digest(path) for path in committed} == announced
    assert not (site.state / "copied").exists()
    assert not (site.state / "deferred.json").exists()


def test_an_upload_whose_writer_ends_is_committed_by_link(site: Site) -> None:
    site.day("2012-12-04")
    site.upload(DAY)
    inode = volume(site).stat().st_ino
    with volume(site).open("r+b"):
        assert site.collect(DAY).deferred
    assert len(site.collect(DAY).committed) == 1
    assert inode in {path.stat().st_ino for path in site.root.glob("backups/**/*vol1*")}


def test_what_a_writer_changes_before_the_copy_is_made_is_refused(site: Site) -> None:
    site.day("2012-12-04")
    site.upload(DAY)
    with volume(site).open("r+b") as file:
        for _ in range(PATIENCE):
            site.collect(DAY)
        file.write(b"EVIL")
        file.flush()
        (reason,) = site.collect(DAY).refused
    assert "SHA-256" in reason
    site.upload(DAY)
    assert len(site.collect(DAY).committed) == 1


def test_readers_are_not_waited_for(site: Site) -> None:
    site.day("2012-12-04")
    site.upload(DAY)
    with volume(site).open("rb"):
        assert len(site.collect(DAY).committed) == 1


def test_acls_and_attributes_of_the_client_are_dropped(site: Site) -> None:
    site.day("2012-12-04")
    try:
        os.setxattr(site.next, "user.note", b"x")
    except OSError:
        pytest.skip("no user attributes on this file system")
    subprocess.run(["setfacl", "-m", "u:65534:rwx,d:u:65534:rwx", site.next], check=True)
    site.write(DAY)
    for path in site.next.glob("*20121205*"):
        os.setxattr(path, "user.note", b"x")
        path.chmod(0o4777)
    site.finish([path.name for path in site.next.glob("*20121205T*")])
    assert len(site.collect(DAY).committed) == 1
    for path in site.root.glob("backups/**/*20121205*"):
        assert not [name for name in os.listxattr(path) if not name.startswith("security.")]
        assert path.stat().st_mode & 0o7777 == 0o440


def test_a_file_with_holes_is_refused_without_being_read(site: Site) -> None:
    site.collect("2012-12-04")
    names = site.write("2012-12-04")
    site.finish(names)
    os.truncate(site.next / names[0], 8 << 40)
    assert "has holes" in site.collect("2012-12-04").refused[0]


@pytest.mark.parametrize("end", ["2012-12-04", "2012-12-03"])
def test_a_full_that_would_take_the_names_of_damaged_backups_is_refused(site: Site, end: str) -> None:
    """Nothing is served after damage; a full with the times of what lies there must not wedge the root."""
    site.day("2012-12-04")
    for path in site.root.glob("backups/**/*vol1*"):
        path.unlink()
    assert site.collect("2012-12-05").served is not None
    for name in (names := increment_names(None, int(at(end).timestamp()))):
        (site.next / name).write_text("x")
    site.finish(names)
    done = site.collect("2012-12-05")
    assert "does not end after" in done.refused[0]
    assert done.state is State.SERVED
    assert len(site.day("2012-12-06").committed) == 1
