"""Trees to back up: making them, changing them, and taking pictures of them."""

from __future__ import annotations

import os
import random
import shutil
import stat
from pathlib import Path

SIZES = (0, 1, 511, 512, 513, 4095, 4096, 4097, 65_535, 65_536, 65_537, 100_000, 209_000, 215_000, 262_144, 700_000)
"""Bytes: around blocks, deltas that are not worth it, units and slices of backups with small volumes."""
NAMES = (b"a", b"a-b", b"a.b", b"b", b"B", b" ", b"\xff\xfe", "ä".encode(), b"new\nline", b"q'\"\\", b"-x", b"n" * 255)

Picture = dict[bytes, tuple[int, int, int, int, bytes]]


def picture(top: Path) -> Picture:
    """For each path: mode, uid, gid, whole seconds of mtime (0 for links and before 1970), contents or target."""
    seen: Picture = {}
    for folder, folders, files in os.walk(os.fsencode(top)):
        for path in (os.path.join(folder, name) for name in [b"", *folders, *files]):
            path = path.rstrip(b"/")
            found = os.lstat(path)
            content = b""
            if stat.S_ISLNK(found.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(found.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
                content = b"%d" % found.st_rdev
            has_time = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
            mtime = max(0, int(found.st_mtime)) if has_time else 0
            owner = (found.st_uid, found.st_gid) if os.geteuid() == 0 else (0, 0)
            seen[os.path.relpath(path, os.fsencode(top))] = (found.st_mode, *owner, mtime, content)
    return seen


class Living:
    """A tree that changes, the same way for the same seed. Times ascend by seconds, so that stock sees each change."""

    def __init__(self, top: Path, seed: int) -> None:
        self.top = os.fsencode(top)
        self.chance = random.Random(seed)
        self.clock = 1_000_000_000
        top.mkdir()
        self.at = [self.top]
        for _ in range(self.chance.randrange(3, 25)):
            self.add()

    def tick(self) -> int:
        self.clock += 2
        return self.clock

    def stamp(self, path: bytes) -> None:
        """Give a path and the directories above it times that are new."""
        while path.startswith(self.top):
            os.utime(path, (self.tick(), self.clock), follow_symlinks=False)
            path = os.path.dirname(path)

    def paths(self) -> list[bytes]:
        return sorted(os.path.join(top, name) for top, dirs, files in os.walk(self.top) for name in (*dirs, *files))

    def content(self, size: int) -> bytes:
        if self.chance.random() < 0.5:
            return self.chance.randbytes(size)
        return (b"%d words and more words\n" % self.chance.randrange(10**6) * (size // 20 + 1))[:size]

    def add(self) -> None:
        folders = [self.top, *(path for path in self.paths() if os.path.isdir(path) and not os.path.islink(path))]
        path = os.path.join(self.chance.choice(folders), self.chance.choice(NAMES))
        if os.path.lexists(path):
            return
        kind = self.chance.random()
        if kind < 0.25:
            os.mkdir(path)
        elif kind < 0.35:
            os.symlink(self.chance.choice((b"a", b"../b", b"/nowhere", b"\xff", b"t" * 150)), path)
        elif kind < 0.40:
            os.mkfifo(path)
        elif kind < 0.44 and os.geteuid() == 0:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        else:
            self.write(path, self.content(self.chance.choice(SIZES)))
        if os.geteuid() == 0 and self.chance.random() < 0.3:
            os.chown(path, self.chance.choice((1000, 2**31, 2**32 - 2)), 77, follow_symlinks=False)
        self.stamp(path)

    def write(self, path: bytes, content: bytes) -> None:
        with open(path, "wb") as file:
            file.write(content)

    def change(self) -> None:
        for _ in range(self.chance.randrange(0, 6)):
            self.change_one()

    def change_one(self) -> None:
        paths = self.paths()
        if not paths or self.chance.random() < 0.2:
            self.add()
            return
        path = self.chance.choice(paths)
        status = os.lstat(path)
        choice = self.chance.random()
        if choice < 0.15:
            self.remove(path)
            self.stamp(os.path.dirname(path))
            return
        if choice < 0.25:
            self.remove(path)
            self.add()
            self.stamp(os.path.dirname(path))
            return
        if stat.S_ISREG(status.st_mode) and choice < 0.8:
            with open(path, "rb") as file:
                self.write(path, self.edited(file.read()))
        elif not stat.S_ISLNK(status.st_mode):
            os.chmod(path, self.chance.choice((0o644, 0o400, 0o4755, 0o000) if os.geteuid() == 0 else (0o644, 0o755)))
            if stat.S_ISDIR(status.st_mode):
                os.chmod(path, 0o755)
        self.stamp(path)

    def edited(self, content: bytes) -> bytes:
        at = self.chance.randrange(len(content) + 1)
        piece = self.content(self.chance.choice((1, 100, 5000)))
        return self.chance.choice(
            (
                content[:at] + piece + content[at + len(piece) :],
                content[:at] + piece + content[at:],
                content + piece,
                content[:at],
                content[at:] + content[:at],
                piece,
            )
        )

    def remove(self, path: bytes) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def change_without_a_trace(self) -> bool:
        """Change a file's bytes and put its time back; return whether there was one."""
        files = [path for path in self.paths() if stat.S_ISREG(os.lstat(path).st_mode) and os.lstat(path).st_size]
        if not files:
            return False
        path = self.chance.choice(files)
        status = os.lstat(path)
        with open(path, "r+b") as file:
            first = file.read(1)
            file.seek(0)
            file.write(bytes([first[0] ^ 1]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return True
