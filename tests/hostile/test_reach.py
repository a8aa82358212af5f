"""What a shell as the client's user reaches on the archive host: its own ``incoming/next``, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.world import COMMITTED, DAY, Scene, World, needs_root

pytestmark = needs_root


def everything(it: Scene) -> Iterator[None]:
    """Read, list, write, move, remove, chmod and chown what is root's and what is another client's."""
    it.upload(DAY)
    os.kill(os.getpid(), 0)
    yield
    with pytest.raises(PermissionError):
        os.kill(os.getppid(), signal.SIGSTOP)
    for root in (it.root, it.other):
        for path in (root / "backups", root / "state", it.other / "incoming/next"):
            for way in (os.listdir, os.rmdir, lambda path: path.chmod(0o777), lambda path: os.mkdir(path / "x")):
                with pytest.raises(OSError):  # noqa: PT011
                    way(path)
            with pytest.raises(PermissionError):
                path.rename(it.own / "stolen")
        for path in (root / "cya.toml", it.secret, root / "state/lock", root / "state/served.json"):
            for act in (
                lambda path=path: path.write_text("x"),
                lambda path=path: path.unlink(),
                lambda path=path: path.chmod(0o666),
                lambda path=path: os.truncate(path, 0),
                lambda path=path: os.link(path, it.own / "link"),
                lambda path=path: os.rename(path, it.own / "stolen"),
            ):
                with pytest.raises(OSError):  # noqa: PT011
                    act()
        for place in (root, root / "incoming", root / "outgoing"):
            for act in (
                lambda place=place: (place / "new").touch(),
                lambda place=place: (place / "new").mkdir(),
                lambda place=place: (place / "new").symlink_to("/"),
                lambda place=place: os.mkfifo(place / "new"),
                lambda place=place: os.chown(place, os.getuid(), -1),
                lambda place=place: os.setxattr(place, "user.x", b"x"),
            ):
                with pytest.raises(OSError):  # noqa: PT011
                    act()
    for path in (it.secret, it.root / "state/served.json", it.root / "state/lock", Path("/etc/shadow")):
        with pytest.raises(PermissionError):
            path.read_bytes()
    with pytest.raises(PermissionError):
        it.next.rename(it.incoming / "finished")
    with pytest.raises(PermissionError):
        it.next.rmdir()
    for kind in (0o020000, 0o060000):
        with pytest.raises(PermissionError):
            os.mknod(it.next / "device", kind | 0o600, os.makedev(1, 3))


def test_a_shell_reaches_nothing_but_its_own_next(world: World) -> None:
    world.withstands(everything, COMMITTED)
