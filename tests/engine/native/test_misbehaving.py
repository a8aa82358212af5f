"""Files that change, vanish or cannot be read while the backup runs: never a stop, never a wrong archive.

What happens between the walk and the reading is put there by :func:`between`: the engine packs in its own process, and
changes the tree right before it opens a file for the first time.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cya.engine.native import beneath, making, packer
from cya.engine.native.beneath import FILE
from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.opener import Opener
from cya.engine.native.packer import Packer
from cya.engine.native.tasks import Packed, Task
from tests.engine.conftest import needs_root
from tests.engine.native.conftest import Lab

SMALL, LARGE = 5_000, 900_000
"""Bytes: a file in a unit with others, and one in slices."""


class Here:
    """Packs in this process, at once."""

    def __init__(self, root: int, sigtars: tuple[Path, ...], capacity: int, workers: int) -> None:
        self._old = OldSignatures(sigtars)
        self._packer = Packer(root, self._old, capacity)
        self._packed: dict[int, Packed] = {}
        self._next = 0
        self.has_room = True

    def begin(self) -> None:
        pass

    def submit(self, tasks: list[Task]) -> int:
        self._next += 1
        self._packed[self._next] = self._packer.pack(tasks)
        return self._next

    def is_done(self, slot: int) -> bool:
        return True

    def packed(self, slot: int) -> Packed:
        return self._packed.pop(slot)

    def release(self, slot: int) -> None:
        pass

    def close(self) -> None:
        self._packer.close()
        self._old.close()


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, Callable[[], None], int], None]:
    """Have something done right before a file is opened, or read for the nth time."""

    def prepare(path: bytes, act: Callable[[], None], reads: int) -> None:
        small, large, read, seen = Opener.open, beneath.open_beneath, os.preadv, [0]

        def opening(name: bytes) -> None:
            if name == path and reads == 0 and not seen[0]:
                seen[0] = 1
                act()

        def open_small(opener: Opener, name: bytes) -> int:
            opening(name)
            return small(opener, name)

        def open_large(root: int, name: bytes, flags: int = FILE) -> int:
            opening(name)
            return large(root, name, flags)

        def preadv(file: int, buffers: list[memoryview], offset: int) -> int:
            if reads and os.readlink(f"/proc/self/fd/{file}").endswith(os.fsdecode(path)):
                seen[0] += 1
                if seen[0] == reads:
                    act()
            return read(file, buffers, offset)

        monkeypatch.setattr(making, "Pool", Here)
        monkeypatch.setattr(Opener, "open", open_small)
        monkeypatch.setattr(packer, "open_beneath", open_large)
        monkeypatch.setattr(os, "preadv", preadv)

    return prepare


Between = Callable[[bytes, Callable[[], None], int], None]


def filled(lab: Lab, size: int) -> Path:
    chance = random.Random(size)
    directory = lab.source / "below"
    directory.mkdir()
    for name in ("before", "file", "zlast"):
        (directory / name).write_bytes(chance.randbytes(size if name == "file" else 1000))
        os.utime(directory / name, (10**9, 10**9))
    return directory / "file"


def others_are_whole(lab: Lab) -> Path:
    restored = lab.restored()
    for name in ("before", "zlast"):
        assert (restored / "below" / name).read_bytes() == (lab.source / "below" / name).read_bytes()
    return restored / "below" / "file"


def up_to_date_next_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert lab.backup().lost == ()
    assert lab.is_restored()


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("reads", [0, 1, 2])
@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_shrinks(
    lab: Lab, between: Between, monkeypatch: pytest.MonkeyPatch, size: int, reads: int, first: bool
) -> None:
    file = filled(lab, size)
    if not first:
        lab.backup()
        file.write_bytes(random.Random(1).randbytes(size))
    whole = file.read_bytes()
    between(b"below/file", lambda: os.truncate(file, size // 3), reads)
    assert lab.backup().lost == ()
    got = others_are_whole(lab).read_bytes()
    assert whole.startswith(got)
    assert len(got) >= size // 3
    up_to_date_next_time(lab, monkeypatch)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_a_file_that_grows(lab: Lab, between: Between, monkeypatch: pytest.MonkeyPatch, size: int, reads: int) -> None:
    file = filled(lab, size)

    def grow() -> None:
        with file.open("ab") as opened:
            opened.write(b"more" * 100_000)

    between(b"below/file", grow, reads)
    assert lab.backup().lost == ()
    assert others_are_whole(lab).read_bytes() == file.read_bytes()[:size]
    up_to_date_next_time(lab, monkeypatch)


def becomes_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/shadow")


def becomes_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def becomes_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (Path.unlink, "vanished"),
        (becomes_link, "became a symbolic link"),
        (becomes_directory, "no regular file|directory|replaced"),
        (becomes_fifo, "no regular file|something else|replaced"),
    ],
)
def test_a_file_that_becomes_something_else_is_named_and_what_was_known_of_it_stays(
    lab: Lab,
    between: Between,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    known: bool,
    act: Callable[[Path], None],
    reason: str,
) -> None:
    file = filled(lab, size)
    was = file.read_bytes()
    if known:
        lab.backup()
        file.write_bytes(was[::-1])
    between(b"below/file", lambda: act(file), 0)
    (lost,) = lab.backup().lost
    assert lost.path == "below/file"
    assert any(word in lost.reason for word in reason.split("|")), lost.reason
    restored = others_are_whole(lab)
    assert restored.read_bytes() == was if known else not restored.exists()
    up_to_date_next_time(lab, monkeypatch)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_file_that_is_replaced_by_another_is_never_given_the_old_ones_permissions(
    lab: Lab, between: Between, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    file = filled(lab, size)
    file.chmod(0o644)
    new = lab.place / "new"
    new.write_bytes(b"secret" * (size // 6))
    new.chmod(0o600)
    between(b"below/file", lambda: os.replace(new, file), 0)
    report = lab.backup()
    restored = others_are_whole(lab)
    if restored.exists():
        assert restored.stat().st_mode & 0o777 == 0o600
        assert restored.read_bytes() == file.read_bytes()[: restored.stat().st_size]
    else:
        assert [lost.path for lost in report.lost] == ["below/file"]
        assert "replaced" in report.lost[0].reason
    up_to_date_next_time(lab, monkeypatch)


@pytest.mark.parametrize("known", [True, False])
def test_a_part_of_a_large_file_that_cannot_be_read_becomes_zeros_that_are_named(
    lab: Lab, between: Between, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    file = filled(lab, LARGE)
    if known:
        lab.backup()
        file.write_bytes(random.Random(2).randbytes(LARGE))

    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    between(b"below/file", fail, 2)
    (lost,) = lab.backup().lost
    assert lost.path == "below/file"
    assert "input/output error" in lost.reason
    assert "are zeros in the backup" in lost.reason
    got, whole = others_are_whole(lab).read_bytes(), file.read_bytes()
    wrong = [at for at in range(len(whole)) if got[at] != whole[at]]
    length, offset = (int(word) for word in lost.reason.split() if word.isdigit())
    assert len(got) == len(whole)
    assert set(got[offset : offset + length]) == {0}
    assert offset <= wrong[0] <= wrong[-1] < offset + length
    up_to_date_next_time(lab, monkeypatch)


def test_a_small_file_that_cannot_be_read_is_named(lab: Lab, between: Between, monkeypatch: pytest.MonkeyPatch) -> None:
    file = filled(lab, SMALL)

    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    between(b"below/file", fail, 1)
    assert [(lost.path, lost.reason) for lost in lab.backup().lost] == [("below/file", "input/output error")]
    assert not others_are_whole(lab).exists()
    assert file.exists()
    up_to_date_next_time(lab, monkeypatch)


@needs_root
def test_what_may_not_be_read_is_named_and_what_was_known_of_it_stays(lab: Lab) -> None:
    """As an ordinary user, in a process of its own."""
    (lab.source / "directory").mkdir()
    for name in ("open", "closed", "directory/below"):
        (lab.source / name).write_text(name)
    for path in (lab.place, *lab.place.parents):
        if path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)

    def backup() -> list[tuple[str, str]]:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                lost = lab.backup().lost
                os.write(write, repr([(each.path, each.reason) for each in lost]).encode())
            finally:
                os._exit(0)
        os.close(write)
        with open(read, "rb") as said:
            told = said.read()
        os.waitpid(child, 0)
        lab.now += 100
        found: list[tuple[str, str]] = eval(told)
        return found

    lab.cache.mkdir()
    for path in (lab.cache, lab.target, lab.source, lab.home):
        os.chown(path, 65534, 65534)
    assert backup() == []
    for name in ("closed", "directory"):
        (lab.source / name).chmod(0)
        os.utime(lab.source / name, (2 * 10**9, 2 * 10**9))
    lost = dict(backup())
    assert lost == {"closed": "permission denied", "directory": "Permission denied"}
    restored = lab.restored()
    assert (restored / "closed").read_text() == "closed"
    assert (restored / "directory/below").read_text() == "directory/below"


def test_what_is_no_file_has_a_header_and_nothing_else(lab: Lab) -> None:
    import socket

    os.mkfifo(lab.source / "fifo")
    (lab.source / "empty").touch()
    (lab.source / "link").symlink_to("x" * 4000)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(lab.source / "socket"))
        report = lab.backup()
    assert report.lost == ()
    assert report.statistics["SocketsSkipped"] == 1
    (lab.source / "socket").unlink()
    os.utime(lab.source)
    lab.backup()
    assert lab.is_restored()
