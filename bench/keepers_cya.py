"""Backups in cya's tree: made by ``cya backup``, pruned as ``cya prune`` does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.keeping import Keeper
from bench.tools import TOOLS, environment
from cya import catalog, clock
from cya.archive.prune import prune
from cya.cli.backup import backup

KEEP = {"week": 2, "month": 12}


class InTree(Keeper):
    """Century, decade, year, month and week."""

    label = "cya's tree"
    chains = True
    note = "weeks but the newest two and months but the newest twelve are deleted"

    def make(self) -> None:
        """Make the config and the archive."""
        for command in TOOLS["native"].setup(self.place, self.tree):
            subprocess.run(command, env=environment(self.place), check=True, capture_output=True)

    def backup(self, moment: int) -> None:
        """Make a backup, and collect, as the verb does."""
        if code := backup(self.place / "bench.toml", now=clock.iso(moment)):
            raise SystemExit(f"cya backup: exit {code}")

    def prune(self) -> None:
        """Prune as ``cya prune --force`` does: a wave of photographs is no matter of alarm here."""
        root = self.repository / "archive"
        moment = max(each.increment.end for each in catalog.read(root).backups)
        prune(root, datetime.fromtimestamp(moment, UTC), KEEP, force=True)

    def kept(self) -> Mapping[int, int]:
        """Return what the archive lists."""
        found = catalog.read(self.repository / "archive").backups
        return {each.increment.end: len(each.chain.increments) for each in found if each.chain is not None}

    def restores(self, moment: int, home: Path, to: Path) -> Mapping[str, tuple[list[str], Path]]:
        """Restore from the archive by cya, and from the finest directory that has it by stock duplicity."""
        backups = catalog.read(self.repository / "archive").backups
        finest = next(each for each in backups if each.increment.end == moment).directories[0].path
        return {
            "cya": (restored_by_cya(self.repository / "archive", self.place, moment, to), to),
            "duplicity 0.8": (restored_by_duplicity(finest, moment, home, to), to),
        }


def restored_by_cya(archive: Path, place: Path, moment: int, to: Path) -> list[str]:
    """Return a command that restores a backup from any directory of Duplicity files."""
    words = ["restore", str(to), "--from", str(archive), "--passphrase-file", f"{place}/passphrase"]
    return [sys.executable, "-m", "cya", *words, "--time", clock.iso(moment)]


def restored_by_duplicity(files: Path, moment: int, home: Path, to: Path) -> list[str]:
    """Return a command of the stock program's."""
    words = [f"--archive-dir={home}/cache", "-v2", "--force", "--time", str(moment), f"file://{files}", str(to)]
    return ["/usr/bin/duplicity", "restore", *words]
