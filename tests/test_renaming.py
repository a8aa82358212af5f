"""What has a name already is never replaced by what should get it."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya import renaming


@pytest.fixture(params=["kernel", "no such call", "unknown to the file system"], autouse=True)
def _means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> int:
        ctypes.set_errno(errno.EINVAL)
        return -1

    if request.param != "kernel":
        monkeypatch.setattr(renaming, "_call", lambda: unknown if request.param.startswith("unknown") else None)


@pytest.fixture
def open_directories(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A directory with a file ``made``, and an empty one."""
    (tmp_path / "work").mkdir()
    (tmp_path / "to").mkdir()
    (tmp_path / "work/made").write_bytes(b"new")
    fds = [os.open(tmp_path / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("work", "to")]
    yield fds[0], fds[1]
    for fd in fds:
        os.close(fd)


def test_what_is_free_is_taken(open_directories: tuple[int, int], tmp_path: Path) -> None:
    renaming.rename_new(b"made", open_directories[0], b"name", open_directories[1])
    assert (tmp_path / "to/name").read_bytes() == b"new"
    assert os.listdir(tmp_path / "work") == []


@pytest.mark.parametrize("there", ["file", "directory", "dangling link", "fifo"])
def test_what_is_there_stays(open_directories: tuple[int, int], tmp_path: Path, there: str) -> None:
    name = tmp_path / "to/name"
    if there == "file":
        name.write_bytes(b"old")
    elif there == "directory":
        name.mkdir()
    elif there == "fifo":
        os.mkfifo(name)
    else:
        name.symlink_to("nowhere")
    before = name.lstat()
    with pytest.raises(FileExistsError):
        renaming.rename_new(b"made", open_directories[0], b"name", open_directories[1])
    after = name.lstat()
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)
    assert (tmp_path / "work/made").read_bytes() == b"new"


def test_what_cannot_be_renamed_is_an_error_with_its_number(open_directories: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        renaming.rename_new(b"gone", open_directories[0], b"name", open_directories[1])
    with pytest.raises(OSError, match="name") as raised:
        renaming.rename_new(b"made", open_directories[0], b"n" * 300 + b"name", open_directories[1])
    assert raised.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path / "to") == []


def test_two_directories_change_places(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of {name}").touch()
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    changed = renaming.exchange("one", fd, "other", fd)
    os.close(fd)
    assert changed == ("kernel" in request.node.name)
    assert os.listdir(tmp_path / "one") == (["of other"] if changed else ["of one"])


def test_what_is_missing_changes_places_with_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if "kernel" not in request.node.name:
        return
    (tmp_path / "one").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    with pytest.raises(FileNotFoundError):
        renaming.exchange("one", fd, "other", fd)
    os.close(fd)
