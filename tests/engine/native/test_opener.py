"""Opening one file after another, while directories are moved and replaced."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.engine.native.opener import Opener
from tests.engine.conftest import needs_root


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    for name in ("top", "a/one", "a/two", "a/b/one", "c/one"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "a" / "out").symlink_to("/etc/passwd")
    root = os.open(tmp_path, os.O_RDONLY)
    made = Opener(root)
    yield made
    made.close()
    os.close(root)


def read(opener: Opener, path: str) -> str:
    with open(opener.open(os.fsencode(path))) as file:
        return file.read()


def test_files_are_opened_whatever_directory_comes_next(opener: Opener) -> None:
    paths = ["top", "a/one", "a/two", "a/b/one", "a/two", "c/one", "top", "c/one"]
    assert [read(opener, path) for path in paths] == paths


def test_only_one_directory_is_held_open_and_none_after_closing(opener: Opener) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for path in ("a/one", "a/b/one", "c/one"):
        read(opener, path)
        assert len(set(os.listdir("/proc/self/fd")) - before) == 1
    opener.close()
    assert set(os.listdir("/proc/self/fd")) == before
    assert read(opener, "c/one") == "c/one"


@pytest.mark.parametrize("path", ["a/out", "link/one", "link/b/one"])
def test_no_symbolic_link_is_followed(opener: Opener, path: str) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
            opener.open(os.fsencode(path))
        assert read(opener, "a/one") == "a/one"


@pytest.mark.parametrize("path", ["a/..", "a/../top", "../x", "/etc/passwd", "a/b/../.."])
def test_nothing_outside_is_opened(opener: Opener, path: str) -> None:
    read(opener, "a/one")
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        opener.open(os.fsencode(path))


def test_a_link_put_in_the_place_of_a_directory_leads_nowhere(opener: Opener, tmp_path: Path) -> None:
    assert read(opener, "a/one") == "a/one"
    (tmp_path / "a").rename(tmp_path / "moved")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "two").write_text("not this")
    (tmp_path / "a").symlink_to("secret")
    assert read(opener, "a/two") == "a/two"
    opener.close()
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        opener.open(b"a/two")


def test_a_file_that_has_vanished_costs_its_neighbours_nothing(opener: Opener, tmp_path: Path) -> None:
    (tmp_path / "a" / "one").unlink()
    for path in (b"a/one", b"gone/one"):
        with pytest.raises(FileNotFoundError):
            opener.open(path)
    assert read(opener, "a/two") == "a/two"


@needs_root
def test_files_of_others_are_opened_without_the_right_to_leave_their_access_times(
    opener: Opener, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        assert [read(opener, path) for path in ("a/one", "a/two")] == ["a/one", "a/two"]
    finally:
        os.seteuid(0)


def test_a_lease_is_waited_for(opener: Opener, tmp_path: Path) -> None:
    leased = os.open(tmp_path / "a" / "one", os.O_RDWR)
    broken = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        back = threading.Timer(0.05, lambda: fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_UNLCK))
        back.start()
        assert read(opener, "a/one") == "a/one"
        back.join()
    finally:
        signal.signal(signal.SIGIO, broken)
        os.close(leased)
