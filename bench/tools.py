"""The programs that are compared, each as its users run it: an encrypted repository on the same disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "correct horse battery staple"
_PROJECT = Path(__file__).parent.parent
_NEWEST = _PROJECT / ".venv-duplicity3/bin/duplicity"


@dataclass(frozen=True)
class Tool:
    """A program.

    :ivar label: for people.
    :ivar commands: given the place of its own, the tree and the number of the backup (from 0), what is run.
    :ivar setup: what is run once before, not measured.
    :ivar version: prints it.
    :ivar notes: what one has to know to compare.
    """

    label: str
    commands: Callable[[Path, Path, int], list[str]]
    setup: Callable[[Path, Path], list[list[str]]]
    version: tuple[str, ...]
    notes: str = ""

    @property
    def is_here(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.version[0]) is not None


def environment(place: Path) -> dict[str, str]:
    """Return the environment of all: caches and keys below their own place, one passphrase."""
    home = place / "home"
    home.mkdir(exist_ok=True, mode=0o700)
    (home / ".gnupg").mkdir(exist_ok=True, mode=0o700)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PASSPHRASE": PASSWORD,
        "BORG_PASSPHRASE": PASSWORD,
        "BORG_BASE_DIR": str(home),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": str(home / "restic"),
        "BUP_DIR": str(place / "repository"),
    }


def _cya(engine: str, label: str, settings: str = "") -> Tool:
    def setup(place: Path, tree: Path) -> list[list[str]]:
        secret = place / "passphrase"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        words = ["init", "--config", f"{place}/bench.toml", "--source", str(tree), "--engine", engine]
        words += ["--archive", f"{place}/repository/archive", "--passphrase-file", str(secret)]
        made = [[sys.executable, "-m", "cya", *words, "--cache-dir", f"{place}/home/cache"]]
        # The config's last table is open.
        return [*made, ["sh", "-c", f"echo '{settings}' >> '{place}/bench.toml'"]] if settings else made

    def commands(place: Path, tree: Path, number: int) -> list[str]:
        return [sys.executable, "-m", "cya", "backup", "--config", f"{place}/bench.toml"]

    return Tool(label, commands, setup, (sys.executable, "-m", "cya", "--version"), "fsync")


def _duplicity(program: str, label: str) -> Tool:
    def commands(place: Path, tree: Path, number: int) -> list[str]:
        verb = "incremental" if number else "full"
        return [program, verb, f"--archive-dir={place}/home/cache", "-v2", str(tree), f"file://{place}/repository"]

    return Tool(label, commands, lambda place, tree: [], (program, "--version"))


TOOLS: dict[str, Tool] = {
    "native": _cya("native", "cya, native engine"),
    "plain": _cya("native", "cya, without what the format cannot hold", "keep = false"),
    "cya-duplicity": _cya("duplicity", "cya, duplicity engine"),
    "duplicity": _duplicity("/usr/bin/duplicity", "duplicity 0.8"),
    "duplicity3": _duplicity(str(_NEWEST), "duplicity 3"),
    "borg": Tool(
        "borg",
        lambda place, tree, number: ["borg", "create", f"{place}/repository/borg::{number}", str(tree)],
        lambda place, tree: [["borg", "init", "--encryption=repokey-blake2", f"{place}/repository/borg"]],
        ("borg", "--version"),
    ),
    "restic": Tool(
        "restic",
        lambda place, tree, number: ["restic", "--quiet", "--repo", f"{place}/repository", "backup", str(tree)],
        lambda place, tree: [["restic", "--quiet", "--repo", f"{place}/repository", "init"]],
        ("restic", "version"),
    ),
    "rdiff-backup": Tool(
        "rdiff-backup",
        lambda place, tree, number: ["rdiff-backup", "backup", str(tree), f"{place}/repository"],
        lambda place, tree: [],
        ("rdiff-backup", "--version"),
        "not encrypted, newest version not compressed",
    ),
    "bup": Tool(
        "bup",
        lambda place, tree, number: ["sh", "-c", 'bup index "$1" && bup save -q -n tree "$1"', "sh", str(tree)],
        lambda place, tree: [["bup", "init"]],
        ("bup", "--version"),
        "not encrypted",
    ),
}
"""By the names that the command line takes; the first is what the others are compared with."""


def version_of(tool: Tool) -> str:
    """Return the first line of what a program says of its version."""
    said = subprocess.run(tool.version, capture_output=True, text=True, check=False)
    return ((said.stdout or said.stderr).strip().splitlines() or ["?"])[0]
