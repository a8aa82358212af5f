"""A small tree that people and programs work in: what a day changes is always the same for the same day.

Whoever lets it live again from the start to some day has that day's tree: contents, names, modes, whole seconds of
mtimes. So what a restored backup must be is made anew and need not be kept.
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
from pathlib import Path

_PAGE = 4096
_PAGES = 256
_LOGS = ("auth", "daemon", "mail", "web")
_ROTATIONS = 4
_MAILBOXES = 4
_PACKAGES = 16
_FIRST_FILES = {"documents": 180, "projects": 240}
_DAY = 86400
_SYMBOLS = bytes(byte & 0x3F for byte in range(256))


class Life:
    """The tree and all that is known of it; nothing is ever read from a listing.

    :ivar tree: its directory.
    """

    def __init__(self, tree: Path, first: int) -> None:
        """Make the tree as it is before the first day.

        :param tree: a directory that is not there, or is empty.
        :param first: seconds since the epoch of the first day's backup.
        """
        self.tree = tree
        self._first = first
        self._moment = first - _DAY
        self._chance = random.Random(5)
        words = [b"%x" % self._chance.getrandbits(self._chance.choice((12, 20, 28))) for _ in range(4000)]
        self._text = b" ".join(self._chance.choice(words) for _ in range(60_000))
        self._files: dict[str, list[str]] = {top: [] for top in _FIRST_FILES}
        self._numbers = 0
        self._touched: set[Path] = set()
        tree.mkdir(parents=True, exist_ok=True)
        for top, number in _FIRST_FILES.items():
            for _ in range(number):
                self._new(top)
        for package in range(_PACKAGES):
            self._upgrade(package)
        for name in _LOGS:
            self._write(f"log/{name}.log", b"")
        for number in range(_MAILBOXES):
            self._write(f"mail/{number}.mbox", self._prose(40_000))
        self._write("data/records.db", b"".join(self._rows() for _ in range(_PAGES)))
        (tree / "data/current").symlink_to("records.db")
        self._settle()

    def live(self, day: int) -> None:
        """Let the next day pass: 0 after the tree was made, then 1, and so on."""
        self._moment = self._first + day * _DAY - 3600
        if day % 7 < 5:
            self._people()
        if self._chance.random() < 0.15:
            self._photo(day // 365)
        self._get_mail()
        if day % 365 == 364:
            self._archive_mail(day // 365)
        for name in _LOGS:
            self._append(f"log/{name}.log", self._log(self._chance.randrange(30, 200)))
        if day % 7 == 6:
            self._rotate()
        self._work_on_data()
        if day % 30 == 29:
            self._upgrade(self._chance.randrange(_PACKAGES))
        if day % 365 == 200:
            for package in range(_PACKAGES):
                self._upgrade(package)
        self._settle()

    def _people(self) -> None:
        """What is written, begun and thrown away on a working day."""
        chance, places = self._chance, tuple(_FIRST_FILES)
        for _ in range(chance.randrange(2, 9)):
            self._edit(chance.choice(places))
        for _ in range(chance.randrange(3)):
            self._new(chance.choice(places))
        if chance.random() < 0.8:
            self._delete(chance.choice(places))

    def _photo(self, year: int) -> None:
        self._numbers += 1
        data = self._chance.randbytes(self._chance.randrange(20_000, 80_000))
        self._write(f"photos/{year}/{self._numbers}.jpg", data)

    def _get_mail(self) -> None:
        for number in range(_MAILBOXES):
            if self._chance.random() < 0.6:
                self._append(f"mail/{number}.mbox", self._prose(self._chance.randrange(500, 6000)))

    def _new(self, top: str) -> None:
        self._numbers += 1
        name = f"{top}/{self._chance.randrange(12):02}/{self._numbers:05}.txt"
        self._files[top].append(name)
        self._write(name, self._prose(int(self._chance.lognormvariate(8.3, 0.9)) % 60_000))

    def _edit(self, top: str) -> None:
        """Edit a file, rather one of the newer ones: some words in its middle, rarely all of it."""
        files = self._files[top]
        name = files[-1 - min(int(self._chance.expovariate(0.02)), len(files) - 1)]
        old = (self.tree / name).read_bytes()
        at = self._chance.randrange(len(old) + 1)
        words = self._prose(self._chance.randrange(20, 600))
        if self._chance.random() < 0.1:
            self._write(name, self._prose(len(old) + 100))
        else:
            self._write(name, old[:at] + words + old[at + self._chance.randrange(300) :])

    def _delete(self, top: str) -> None:
        files = self._files[top]
        name = files.pop(self._chance.randrange(len(files)))
        (self.tree / name).unlink()
        self._touched.add((self.tree / name).parent)

    def _rotate(self) -> None:
        for name in _LOGS:
            for number in reversed(range(1, _ROTATIONS)):
                old = self.tree / f"log/{name}.log.{number}.gz"
                if old.exists():
                    os.replace(old, old.with_name(f"{name}.log.{number + 1}.gz"))
            log = self.tree / f"log/{name}.log"
            self._write(f"log/{name}.log.1.gz", gzip.compress(log.read_bytes(), mtime=0))
            self._write(f"log/{name}.log", b"")

    def _archive_mail(self, year: int) -> None:
        for number in range(_MAILBOXES):
            old = self.tree / f"mail/{number}-{year}.mbox"
            os.replace(self.tree / f"mail/{number}.mbox", old)
            self._touched.add(old)
            self._write(f"mail/{number}.mbox", b"")

    def _work_on_data(self) -> None:
        with (self.tree / "data/records.db").open("r+b") as file:
            for _ in range(self._chance.randrange(4, 16)):
                file.seek(_PAGE * self._chance.randrange(_PAGES))
                file.write(self._rows())
        self._touched.add(self.tree / "data/records.db")

    def _upgrade(self, package: int) -> None:
        """Replace all files of a package, as its manager does."""
        place = self.tree / f"programs/{package:02}"
        shutil.rmtree(place, ignore_errors=True)
        for number in range(self._chance.randrange(6, 14)):
            size = self._chance.randrange(2_000, 40_000)
            code = self._chance.randbytes(size).translate(_SYMBOLS)
            self._write(f"programs/{package:02}/{number:02}.so", code, mode=0o755)

    def _write(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file as most programs do: a new one is put in the old one's place."""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(".new")
        new.write_bytes(data)
        new.chmod(mode)
        os.replace(new, path)
        self._touched |= {path, path.parent, path.parent.parent}

    def _append(self, name: str, data: bytes) -> None:
        with (self.tree / name).open("ab") as file:
            file.write(data)
        self._touched.add(self.tree / name)

    def _prose(self, length: int) -> bytes:
        start = self._chance.randrange(len(self._text) - length)
        return self._text[start : start + length]

    def _log(self, lines: int) -> bytes:
        return b"".join(
            b"%d host service[%d]: request %x from 10.0.%d.%d done\n"
            % (self._moment, *(self._chance.randrange(limit) for limit in (30_000, 1 << 40, 256, 256)))
            for _ in range(lines)
        )

    def _rows(self) -> bytes:
        rows = (
            b"%016x|%08d|open  |" % (self._chance.getrandbits(64), self._chance.randrange(10**8)) for _ in range(96)
        )
        return b"".join(rows).ljust(_PAGE, b"\0")[:_PAGE]

    def _settle(self) -> None:
        """Give what was touched this day's time, a directory after what lies in it."""
        for path in sorted(self._touched, key=lambda path: -len(path.parts)):
            if path.exists():
                os.utime(path, (self._moment, self._moment))
        self._touched.clear()


def lived(tree: Path, first: int, day: int) -> None:
    """Make the tree as it is after a day, from the start."""
    life = Life(tree, first)
    for each in range(day + 1):
        life.live(each)
