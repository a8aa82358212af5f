"""What compares trees finds each kind of difference, also where rsync does not look."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import mounts
from tests.awkward import compare, tree
from tests.awkward.contents import holey, punch
from tests.awkward.kinds import MKFS, emptied
from tests.awkward.setting import date, directory, node, set_acl, set_flags, set_xattrs, write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("compare") / "disk"
    with mounts.own_mounts(), mounts.loop_mounted(place, 320, *MKFS["xfs"]):
        yield place


@pytest.fixture
def pair(disk: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A small tree and a copy of it."""
    source, other = disk / f"{request.node.name}-1", disk / f"{request.node.name}-2"
    for place in (source, other):
        place.mkdir()
        _make(os.fsencode(place))
    assert compare.differences(source, other) == []
    return source, other


def _make(top: bytes) -> None:
    write(top + b"/file", b"some text")
    write(top + b"/dir/file\n", b"some text")
    set_acl(top + b"/file", "u::rw-,u:1000:r--,g::r--,m::r--,o::r--")
    set_xattrs(top + b"/file", user_a=b"1", trusted_a=b"1")
    os.symlink(b"file", top + b"/link")
    set_xattrs(top + b"/link", trusted_a=b"1")
    os.link(write(top + b"/one", b"linked"), top + b"/other")
    write(top + b"/apart", b"linked")
    node(top + b"/fifo", stat.S_IFIFO)
    node(top + b"/socket", stat.S_IFSOCK)
    node(top + b"/device", stat.S_IFCHR, device=(1, 3))
    holey(top + b"/sparse", 1 << 20, {0: b"begin", 512 << 10: bytes(8192), 1 << 19 | 1 << 18: b"middle"})
    deep = directory(top + b"/deep/" + b"/".join([b"d" * 200] * 12))
    write(deep + b"/file", b"far down")
    for folder, folders, files in os.walk(top, topdown=False):
        for name in (*files, *folders):
            date(folder + b"/" + name, 1_500_000_000 * SECOND + 7)
    date(top, SECOND)


def _becomes(path: bytes, kind: int, device: tuple[int, int] = (0, 0)) -> None:
    os.unlink(path)
    date(node(path, kind, device=device), 1_500_000_000 * SECOND + 7)


SPOILED: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "content of the same size and time": ("file", lambda path: _written(path, b"some tixt")),
    "size": ("file", lambda path: _written(path, b"some")),
    "mode": ("file", lambda path: os.chmod(path, 0o4644)),
    "mode of a directory": ("dir", lambda path: os.chmod(path, 0)),
    "owner": ("file", lambda path: os.chown(path, 5, -1)),
    "owner of a symlink": ("link", lambda path: os.lchown(path, -1, 5)),
    "whole second": ("file", lambda path: date(path, 1_500_000_001 * SECOND + 7)),
    "nanosecond": ("file", lambda path: date(path, 1_500_000_000 * SECOND + 8)),
    "nanosecond of a symlink": ("link", lambda path: date(path, 1_500_000_000 * SECOND + 8)),
    "nanosecond of a directory": ("dir", lambda path: date(path, 1_500_000_000 * SECOND + 8)),
    "nanosecond of a fifo": ("fifo", lambda path: date(path, 1_500_000_000 * SECOND + 8)),
    "time of a socket": ("socket", lambda path: date(path, 0)),
    "time of the top": (".", lambda path: date(path, SECOND + 1)),
    "time before 1970": ("file", lambda path: date(path, -1)),
    "target": ("link", lambda path: _linked(path, b"elsewhere")),
    "access ACL": ("file", lambda path: set_acl(path, "u::rw-,u:1001:r--,g::r--,m::r--,o::r--")),
    "access ACL is gone": ("file", lambda path: os.removexattr(path, "system.posix_acl_access")),
    "ACL of a socket": ("socket", lambda path: set_acl(path, "u::rw-,u:1000:r--,g::r--,m::r--,o::r--")),
    "default ACL": ("dir", lambda path: set_acl(path, "", default="u::rw-,g::r--,o::r--")),
    "xattr": ("file", lambda path: set_xattrs(path, user_a=b"2")),
    "empty xattr is gone": ("file", lambda path: os.removexattr(path, "user.a")),
    "trusted xattr": ("file", lambda path: set_xattrs(path, trusted_a=b"")),
    "xattr of a symlink": ("link", lambda path: set_xattrs(path, trusted_a=b"2")),
    "label of a socket": ("socket", lambda path: set_xattrs(path, security_selinux=b"x")),
    "label of the top": (".", lambda path: set_xattrs(path, security_selinux=b"x")),
    "flag": ("file", lambda path: set_flags(path, "d")),
    "flag of a directory": ("dir", lambda path: set_flags(path, "A")),
    "hole is filled": ("sparse", lambda path: _kept_time(path, lambda: _written(path, bytes(4096), 1 << 18))),
    "zeros are a hole": ("sparse", lambda path: _kept_time(path, lambda: punch(path, 512 << 10, 8192))),
    "is a socket": ("fifo", lambda path: _becomes(path, stat.S_IFSOCK)),
    "is a fifo": ("socket", lambda path: _becomes(path, stat.S_IFIFO)),
    "device number": ("device", lambda path: _becomes(path, stat.S_IFCHR, (1, 5))),
    "block for character": ("device", lambda path: _becomes(path, stat.S_IFBLK, (1, 3))),
    "missing": ("file", os.unlink),
    "socket is missing": ("socket", os.unlink),
    "more": ("more", write),
    "odd name": ("dir/file\n", lambda path: os.chmod(path, 0)),
    "link is a copy": ("other", lambda path: _copied(path)),
    "copy is a link": ("apart", lambda path: _linked_to_one(path)),
    "far down": ("deep/" + "/".join(["d" * 200] * 12) + "/file", lambda path: _written(path, b"far dawn")),
}


def _written(path: bytes, data: bytes, offset: int | None = None) -> None:
    was = os.stat(path).st_mtime_ns
    with open(path, "wb" if offset is None else "r+b") as file:
        file.seek(offset or 0)
        file.write(data)
    date(path, was)


def _kept_time(path: bytes, do: Callable[[], None]) -> None:
    was = os.stat(path).st_mtime_ns
    do()
    date(path, was)


def _linked(path: bytes, target: bytes) -> None:
    os.unlink(path)
    os.symlink(target, path)
    date(path, 1_500_000_000 * SECOND + 7)


def _linked_to_one(path: bytes) -> None:
    os.unlink(path)
    os.link(os.path.dirname(path) + b"/one", path)


def _copied(path: bytes) -> None:
    os.unlink(path)
    date(write(path, b"linked"), 1_500_000_000 * SECOND + 7)


@pytest.mark.parametrize("kind", SPOILED)
def test_what_differs_is_named(pair: tuple[Path, Path], kind: str) -> None:
    name, spoil = SPOILED[kind]
    source, other = pair
    top = other.stat().st_mtime_ns
    spoil(os.fsencode(other / name))
    if name != ".":
        date(os.fsencode(other), top)
    found = compare.differences(source, other)
    assert any(repr(os.fsencode(name)) in line for line in found), found
    expected = {name, "one", "other"} if "link is" in kind or "copy is" in kind else {name}
    named = {line.split(": ")[1].split(" (")[0] for line in found if not line.startswith("rsync")}
    assert named <= {repr(os.fsencode(each)) for each in expected}, found
    assert compare.differences(other, source)


def test_rsync_is_asked_and_what_it_says_is_passed_on(pair: tuple[Path, Path]) -> None:
    source, other = pair
    (other / "apart").chmod(0)
    (other / "more").write_text("more")
    found = compare.differences(source, other)
    assert "rsync: b'*deleting   more'" in found
    assert "rsync: b'.f...p..... apart'" in found
    (line,) = [each for each in compare.differences(source, source / "file") if "exit" in each]
    assert line.startswith("rsync: exit ")


def test_a_bound_socket_is_one_as_well_as_one_that_was_made(pair: tuple[Path, Path]) -> None:
    source, other = pair
    os.unlink(other / "socket")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{(fd := os.open(other, os.O_RDONLY))}/socket")
    os.close(fd)
    os.chmod(other / "socket", 0o644)
    date(os.fsencode(other / "socket"), 1_500_000_000 * SECOND + 7)
    date(os.fsencode(other), SECOND)
    assert compare.differences(source, other) == []


@pytest.mark.parametrize("kind", MKFS)
def test_two_awkward_trees_are_equal_through_all_rounds_and_each_round_changes_much(tmp_path: Path, kind: str) -> None:
    with (
        mounts.own_mounts(),
        mounts.loop_mounted(tmp_path / "one", 320, *MKFS[kind]) as one,
        mounts.loop_mounted(tmp_path / "other", 320, *MKFS[kind]) as other,
    ):
        for place in (one, other):
            tree.make(emptied(place), largest=64 << 20)
        assert compare.differences(one, other) == []
        for number in range(1, 6):
            tree.change(one, number)
            assert len(compare.differences(one, other)) > 10
            tree.change(other, number)
            assert compare.differences(one, other) == []
        tree.cleanup(one)
        subprocess.run(["find", one, "-mindepth", "1", "-delete"], check=True)
        assert list(one.iterdir()) == []
