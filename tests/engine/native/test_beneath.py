"""Opening below a directory, by openat2 and part by part: both must be the same."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cya.engine.native import beneath
from cya.engine.native.beneath import DIRECTORY, FILE, open_beneath
from tests.engine.conftest import needs_root


@pytest.fixture(params=["openat2", "parts"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "parts":
        monkeypatch.setattr(beneath, "_has_openat2", lambda: False)
        monkeypatch.setattr(beneath, "_openat2", None)
    elif not beneath._has_openat2():
        pytest.skip("no openat2 here")
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "dir" / "sub" / "file").write_bytes(b"inside")
    (tmp_path / "dir" / "link").symlink_to("sub")
    (tmp_path / "dir" / "dangling").symlink_to("nowhere")
    (tmp_path / "dir" / "out").symlink_to("/etc")
    os.mkfifo(tmp_path / "fifo")
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def read(root: int, path: bytes) -> bytes:
    fd = open_beneath(root, path)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def open_fds() -> set[str]:
    # What an earlier test left to the garbage collector would otherwise be closed at any time.
    gc.collect()
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("path", [b"dir/sub/file", b"./dir//sub/./file"])
def test_a_file(root: int, path: bytes) -> None:
    assert read(root, path) == b"inside"


@pytest.mark.parametrize("path", [b"", b".", b"dir", b"dir/sub/"])
def test_a_directory(root: int, path: bytes, tmp_path: Path) -> None:
    fd = open_beneath(root, path, DIRECTORY)
    try:
        assert os.path.samestat(os.fstat(fd), os.stat(tmp_path / os.fsdecode(path)))
        assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        (b"dir/link", errno.ELOOP),
        (b"dir/link/", errno.ELOOP),
        (b"dir/link/file", errno.ELOOP),
        (b"dir/dangling", errno.ELOOP),
        (b"dir/out/passwd", errno.ELOOP),
        (b"dir/none", errno.ENOENT),
        (b"none/file", errno.ENOENT),
        (b"dir/sub/file/", errno.ENOTDIR),
        (b"dir/sub/file/x", errno.ENOTDIR),
        (b"/etc/passwd", errno.EXDEV),
        (b"dir/../../x", errno.EXDEV),
        (b"..", errno.EXDEV),
        (b"n" * 256, errno.ENAMETOOLONG),
        (b"n" * 5000, errno.ENAMETOOLONG),
        (b"dir/" * 2000 + b"x", errno.ENOENT),
        (b"dir/link/" + b"x/" * 3000, errno.ELOOP),
    ],
)
def test_what_cannot_be_opened(root: int, path: bytes, number: int) -> None:
    before = open_fds()
    with pytest.raises(OSError, match="Errno") as caught:
        os.close(open_beneath(root, path))
    assert caught.value.errno == number
    assert open_fds() == before


def test_links_are_refused_for_directories_too(root: int) -> None:
    with pytest.raises(OSError, match="Errno") as caught:
        os.close(open_beneath(root, b"dir/link", DIRECTORY))
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize(("path", "flags"), [(b"dir\0x", FILE), (b"new", FILE | os.O_CREAT), (b"dir", os.O_TMPFILE)])
def test_what_is_not_asked_of_the_kernel_at_all(root: int, path: bytes, flags: int) -> None:
    with pytest.raises(ValueError, match=r"null byte|not for reading"):
        open_beneath(root, path, flags)


def test_a_fifo_does_not_block(root: int) -> None:
    fd = open_beneath(root, b"fifo")
    assert stat.S_ISFIFO(os.fstat(fd).st_mode)
    os.close(fd)


def test_a_path_of_any_length(tmp_path: Path, root: int) -> None:
    name = b"n" * 200
    here = os.dup(root)
    for _ in range(100):
        os.mkdir(name, dir_fd=here)
        here, above = os.open(name, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    with open(os.open(b"end", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
        file.write(b"deep")
    os.symlink(b".", b"link", dir_fd=here)
    os.close(here)
    before = open_fds()
    assert read(root, (name + b"/") * 100 + b"end") == b"deep"
    with pytest.raises(OSError, match="Errno") as caught:
        read(root, (name + b"/") * 100 + b"link/end")
    assert caught.value.errno == errno.ELOOP
    assert open_fds() == before


def test_the_access_time_stays(root: int, tmp_path: Path) -> None:
    os.utime(tmp_path / "dir/sub/file", (1_000_000_000, 1_000_000_100))
    assert read(root, b"dir/sub/file") == b"inside"
    assert os.stat(tmp_path / "dir/sub/file").st_atime == 1_000_000_000


@needs_root
def test_a_file_of_somebody_else(root: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(PermissionError):
            os.open(b"dir/sub/file", os.O_RDONLY | os.O_NOATIME, dir_fd=root)
        assert read(root, b"dir/sub/file") == b"inside"
    finally:
        os.seteuid(0)


def test_a_lease_is_waited_for(root: int, tmp_path: Path) -> None:
    """Who has one is told when somebody opens the file, and gives it back."""
    held = os.open(tmp_path / "dir/sub/file", os.O_RDWR)
    told = []

    def give_back(*_: object) -> None:
        told.append(1)
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    before = signal.signal(signal.SIGIO, give_back)
    try:
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        assert read(root, b"dir/sub/file") == b"inside"
    finally:
        os.close(held)
        signal.signal(signal.SIGIO, before)
    assert told


def test_a_lease_that_is_kept_is_an_error(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "_WAITS", (0.0, 0.01))
    held = os.open(tmp_path / "dir/sub/file", os.O_RDWR)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(BlockingIOError):
            read(root, b"dir/sub/file")
    finally:
        os.close(held)
        signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_whether_there_is_openat2_is_found_out(way: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "parts":
        pytest.skip("of the other way")

    def refused(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    assert beneath._has_openat2()
    beneath._has_openat2.cache_clear()
    monkeypatch.setattr(beneath, "_openat2", refused)
    before = open_fds()
    try:
        assert not beneath._has_openat2()
        assert open_fds() == before
    finally:
        beneath._has_openat2.cache_clear()
