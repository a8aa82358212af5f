"""A host that backs itself up: real files, the real command line in a process of its own, real duplicity and gpg."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import cya
from tests import stock

Picture = dict[str, tuple[int, int, bytes]]


def picture(top: Path) -> Picture:
    """For each path: type and mode, whole seconds of mtime (0 for links: the format has none), contents or target.

    Without ``.dupext``, which is in what stock restores and in no source; that has tests of its own.
    """
    seen: Picture = {}
    for folder, folders, names in os.walk(top):
        if Path(folder) == top and ".dupext" in folders:
            folders.remove(".dupext")
        for path in (Path(folder) / name for name in [".", *names, *folders]):
            found = path.lstat()
            name = str(path.relative_to(top))
            if stat.S_ISLNK(found.st_mode):
                seen[name] = (stat.S_IFLNK, 0, os.fsencode(os.readlink(path)))
            elif stat.S_ISREG(found.st_mode):
                seen[name] = (found.st_mode, int(found.st_mtime // 1), path.read_bytes())
            else:
                seen[name] = (found.st_mode, int(found.st_mtime // 1), b"")
    return seen


def differing(was: Picture, restored: Path) -> list[str]:
    """The paths in which a restored tree is not as it was."""
    now = picture(restored)
    return sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))


class Host:
    """A source, a local archive, a config, and the programs."""

    def __init__(self, place: Path, duplicity: Path, engine: str = "native") -> None:
        self.place, self.duplicity, self.engine = place, duplicity, engine
        self.resources = ExitStack()
        self.source, self.root, self.config = place / "source", place / "archive" / "web1", place / "web1.toml"
        self.cache = place / "cache"
        self.wrapper: list[str] = []
        self.program = [sys.executable, "-m", "cya"]
        self.was: dict[str, Picture] = {}
        self.gnupg = self.resources.enter_context(stock.gpg_home())
        self.source.mkdir()
        self.environment = {
            "PATH": f"{duplicity.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(place),
            "GNUPGHOME": str(self.gnupg),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }

    def close(self) -> None:
        self.resources.close()

    def command(self, *words: object) -> list[str]:
        return [*self.program, *map(str, words)]

    def give_to_nobody(self) -> dict[str, Any]:
        """Give everything to an ordinary user; return options of :meth:`run` that run as that user.

        The project may lie where others cannot go, so the user gets a copy of what runs.
        """
        runs = self.place / "runs"
        unneeded = shutil.ignore_patterns("mypy*", "ruff*", "hypothesis*", "pip*", "setuptools*", "*pytest*", "grimp*")
        shutil.copytree(sysconfig.get_path("purelib"), runs, ignore=unneeded, symlinks=True)
        shutil.copytree(Path(cya.__file__).parent, runs / "cya")
        self.program = [str(Path(sys.executable).resolve()), "-m", "cya"]
        self.environment["PYTHONPATH"] = str(runs)
        subprocess.run(["chown", "-R", "65534:65534", self.place, self.gnupg], check=True)
        for parent in [self.place, *self.place.parents][:-1]:
            parent.chmod(parent.stat().st_mode | 0o011)
        nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": ()}
        try:
            subprocess.run([self.program[0], "-c", ""], check=True, **nobody)
        except OSError:
            pytest.skip(f"{self.program[0]} cannot be run by other users")
        return nobody

    def run(self, *words: object, status: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``cya``; the exit status must be ``status`` (None: any)."""
        ran = subprocess.run(
            [*self.wrapper, *self.command(*words)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **options,
        )
        assert status is None or ran.returncode == status, f"{words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    def json(self, *words: object, **options: Any) -> Any:
        return json.loads(self.run(*words, "--json", **options).stdout)

    def init(self, *words: object, now: str = "2019-12-20", settings: str = "") -> None:
        """Set up; ``settings`` are lines put at the top of the config."""
        self.run(
            *("init", "--config", self.config, "--source", self.source, "--archive", self.root, "--now", now),
            *("--engine", self.engine, *words),
        )
        own = f'cache_dir = "{self.cache}"\nduplicity = "{self.duplicity}"\ngnupg_home = "{self.gnupg}"\n{settings}'
        text = self.config.read_text()
        lines = [
            line for line in text.splitlines() if not line.startswith(("duplicity =", "cache_dir =", "gnupg_home ="))
        ]
        self.config.write_text(own + "\n".join(lines) + "\n")

    def backup(self, now: str, *words: object, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.run("backup", "--config", self.config, "--now", now, *words, status=status)

    def start_backup(self, now: str, volumes: int) -> subprocess.Popen[str]:
        """Start a backup, and wait until it has uploaded so many volumes."""
        running = subprocess.Popen(
            self.command("backup", "--config", self.config, "--now", now),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 120
        while not self._uploaded(volumes):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return running

    def _uploaded(self, volumes: int) -> bool:
        try:
            return any(f".vol{volumes}." in name for name in os.listdir(self.root / "incoming/next"))
        except FileNotFoundError:  # served anew in this moment
            return False

    def restore(self, name: str, *words: object, status: int = 0) -> Path:
        """Restore to a new directory; return it."""
        place = self.place / name
        self.run("restore", place, "--config", self.config, *words, status=status)
        return place

    def list(self) -> list[dict[str, Any]]:
        found = self.json("list", self.root)
        assert isinstance(found, list)
        return found

    @property
    def passphrase(self) -> str:
        return self.config.with_suffix(".passphrase").read_text().strip()

    def stock_restore(self, files: Path, destination: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Restore by the stock program alone from a plain directory."""
        destination.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as cache:
            return subprocess.run(
                [self.duplicity, "restore", "--archive-dir", cache, *words, f"file://{files}", destination],
                env={**self.environment, "PASSPHRASE": self.passphrase},
                capture_output=True,
                text=True,
                check=True,
            )


@pytest.fixture(params=list(stock.MAKERS))
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """A host with each of the stock programs in turn, and with the native engine."""
    version, engine = stock.MAKERS[request.param]
    made = Host(tmp_path, stock.program(version), engine)
    yield made
    made.close()


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Host]:
    """A host with Debian's stock program, which every user can run."""
    made = Host(tmp_path, stock.program("0.8"))
    yield made
    made.close()


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[Host]:
    """A host with the native engine, and the newest stock program to restore."""
    made = Host(tmp_path, stock.program("3"))
    yield made
    made.close()
