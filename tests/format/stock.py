"""Stock duplicity, run for real on a small tree of names that are hard to write down."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep

FULL = 1_332_637_199
"""End of the full: 2012-03-25T00:59:59Z, the last second of winter time in Europe; summer time in Newfoundland."""
FIRST = FULL + 1
SECOND = 1_352_637_200
"""End of the second increment: 2012-11-11T12:33:20Z, winter."""

NAMES = (
    b"a b",
    b"quote\"s and 'quotes'",
    b"new\nline",
    b"back\\slash",
    b"caf\xe9",
    "ä€𝄞".encode(),
    b"\t\v\f\r",
    b"\x01\x1b\x7f\x85\xa0\xff",
    b"Volume 1:",
    b"Filelist 3",
    b"name 12",
    b" leading and trailing ",
    b"\\x20",
    b"\"all quoted\"",
)  # fmt: skip


@dataclass(frozen=True)
class Stock:
    """One version of duplicity. ``home`` holds its caches and gpg's files."""

    program: Path
    home: Path
    version: tuple[int, ...]

    def start(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start it."""
        return subprocess.Popen(
            [self.program, *map(str, arguments)],
            cwd=self.home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
                "PASSPHRASE": "a passphrase",
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None, status: int | None = 0
    ) -> bytes:
        """Run it and give what it says; fails the test unless it ends with ``status`` (None: anything but 0)."""
        with self.start(*arguments, environment=environment) as process:
            said, _ = process.communicate(timeout=120)
        if process.returncode != status if status is not None else not process.returncode:
            raise AssertionError(f"{process.args!r} ended with {process.returncode}:\n{said.decode(errors='replace')}")
        return said


@dataclass(frozen=True)
class Backup:
    """A full and two increments, in ``target``; ``cache`` is duplicity's local archive directory."""

    stock: Stock
    source: Path
    target: Path
    cache: Path
    options: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def _arguments(self, verb: str, time: int) -> list[str | Path]:
        size_and_time = ["--volsize", "1", "--current-time", str(time)]
        return [verb, "--archive-dir", self.cache, *size_and_time, *self.options, self.source, f"file://{self.target}"]

    def increment(self, verb: str, time: int) -> None:
        """Run ``full`` or ``incremental`` at a given time."""
        self.stock.run(*self._arguments(verb, time), environment=self.environment)

    def killed(self, verb: str, time: int, volume: int) -> None:
        """Run it, and kill it as soon as a volume of that number is in the target and in the unfinished manifest."""
        with self.stock.start(*self._arguments(verb, time), environment=self.environment) as process:
            while process.poll() is None and not (
                list(self.target.glob(f"*.vol{volume}.*"))
                and any(f"\nVolume {volume}:".encode() in data for data in self.manifests().values())
            ):
                sleep(0.002)
            if process.poll() is not None:
                raise AssertionError(f"ended before it could be killed: {process.communicate()[0]!r}")
            process.kill()

    def make(self) -> Backup:
        """Make the full and the two increments: one with changes in it, one without any."""
        plant(self.source)
        self.increment("full", FULL)
        change(self.source)
        self.increment("incremental", FIRST)
        self.increment("incremental", SECOND)
        return self

    @property
    def names(self) -> set[bytes]:
        """Names of the files in the target."""
        return set(os.listdir(os.fsencode(self.target)))

    @property
    def cached(self) -> set[bytes]:
        """Names of the files in the local archive directory."""
        return {os.fsencode(path.name) for path in self.cache.glob("*/*") if path.name != "lockfile"}

    def manifests(self) -> dict[bytes, bytes]:
        """Plain manifests by name, from the local archive directory."""
        return {os.fsencode(path.name): path.read_bytes() for path in self.cache.glob("*/*") if "manifest" in path.name}


def plant(source: Path) -> None:
    """Make a tree with hard names, and files that cross volumes of 1 MiB."""
    noise = random.Random(1)
    root = os.fsencode(source)
    for name in (b"", b"a", b"a-b", b"a b"):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    for name in [
        b"a/big",
        b"a-b/big",
        b"big\nfile",
        *(b"names/" + name for name in NAMES),
        *(b"a b/" + n for n in NAMES),
    ]:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(noise.randbytes(1_500_000 if b"big" in name else 3_000))
        os.utime(path, (FULL - 100, FULL - 100))  # stock sees a change only where the whole second differs


def change(source: Path) -> None:
    """Change, remove and add files."""
    names = os.path.join(os.fsencode(source), b"names")
    os.unlink(os.path.join(names, NAMES[0]))
    for name in (NAMES[1], b"one more\n"):
        with open(os.path.join(names, name), "wb") as file:
            file.write(b"changed or new")
