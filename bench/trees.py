"""The trees that are backed up: real system files, a few large files, a million small ones, a huge one; made once."""

from __future__ import annotations

import os
import random
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

_SOURCES = ("/usr", "/etc", "/opt", "/var/lib")
_DONE = "made"


def system(place: Path, scale: float) -> None:
    """Copy about 2 GB in 100,000 files of this machine: not the largest, and always the same ones.

    Directories and links of what is copied are there, too. A machine that has less gives what it has.
    """
    found = [(path, size) for source in _SOURCES for path, size in _files(Path(source))]
    found.sort(key=lambda each: (each[1], each[0]))
    total, bytes_left = 0, int(scale * 2e9)
    for count, (_, size) in enumerate(found):
        total += size
        if total > bytes_left:
            del found[count:]
    found.sort(key=lambda each: zlib.crc32(os.fsencode(each[0])))
    for path, _ in sorted(found[: int(scale * 100_000)]):
        copy = place / str(path).lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy, follow_symlinks=False)


def large(place: Path, scale: float) -> None:
    """Make four files of 512 MiB: two that cannot be compressed, two like a data base's."""
    chance = random.Random(2)
    size = int(scale * (512 << 20))
    for number in range(4):
        with open(place / f"file{number}", "wb") as file:
            while (left := size - file.tell()) > 0:
                data = chance.randbytes(1 << 20) if number < 2 else b"".join(_pages(chance))
                file.write(data[:left])


def million(place: Path, scale: float) -> None:
    """Make 1,000,000 files of up to 2 KiB in 1,000 directories."""
    chance = random.Random(3)
    words = b" ".join(b"%x" % chance.getrandbits(chance.choice((8, 16, 32))) for _ in range(100_000))
    for directory in range(1000):
        (place / f"{directory % 30:02}" / f"{directory:03}").mkdir(parents=True, exist_ok=True)
    for number in range(int(scale * 1_000_000)):
        start, length = chance.randrange(len(words) - 2048), chance.randrange(2049)
        directory = number % 1000
        with open(f"{place}/{directory % 30:02}/{directory:03}/{number:07}.txt", "wb") as file:
            file.write(words[start : start + length])


def huge(place: Path, scale: float) -> None:
    """Make one file of 10 GiB, like a data base's."""
    chance = random.Random(4)
    with open(place / "file", "wb") as file:
        for _ in range(int(scale * (10 << 10))):
            file.write(b"".join(_pages(chance)))


MAKERS: dict[str, Callable[[Path, float], None]] = {"system": system, "large": large, "million": million, "huge": huge}


def made(name: str, work: Path, scale: float) -> Path:
    """Return a tree below ``work``, made if it is not there."""
    top = work / f"{name}-{scale:g}"
    tree = top / "tree"
    if not (top / _DONE).exists():
        shutil.rmtree(top, ignore_errors=True)
        tree.mkdir(parents=True)
        MAKERS[name](tree, scale)
        (top / _DONE).touch()
    return tree


def counted(tree: Path) -> tuple[int, int]:
    """Return how many files a tree has, and bytes in them; they are read, so that they are in memory."""
    files = size = 0
    for top, _, names in os.walk(tree):
        for name in names:
            with open(os.path.join(top, name), "rb", buffering=0) as file:
                while data := file.read(1 << 20):
                    size += len(data)
            files += 1
    return files, size


def _files(source: Path) -> Iterator[tuple[Path, int]]:
    for top, _, names in os.walk(source):
        for name in names:
            path = Path(top, name)
            try:
                found = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode) and os.access(path, os.R_OK):
                yield path, found.st_size


def _pages(chance: random.Random) -> Iterator[bytes]:
    """128 pages of 8 KiB: a head, rows that look alike, and free room at the end."""
    for number in range(128):
        rows = b"".join(
            b"%08d|customer %06d|%x|open\0\0\0\0" % (row, chance.randrange(10**6), chance.getrandbits(64))
            for row in range(chance.randrange(60, 140))
        )
        yield (b"PAGE%012d" % number + rows).ljust(8192, b"\0")[:8192]
