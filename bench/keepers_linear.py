"""Backups in chains as stock duplicity makes them: one that goes on for ever, and one that begins anew each month.

They are written by cya's engine, since ten years of daily runs of stock duplicity would take days; the files are the
same in kind, number and size. An increment from one day to the next is the same in both, so it is made once, and is a
further name in the second.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.keepers_cya import restored_by_cya, restored_by_duplicity
from bench.keeping import Keeper
from bench.tools import PASSWORD
from cya import catalog
from cya.engine.protocol import BackupJob, Encryption, Engine
from cya.engine.registry import engine_named
from cya.format.times import time_to_name
from cya.tree.chain import Increment

_KEPT_CHAINS = 12


class Linear(Keeper):
    """One full, and an increment a day."""

    label = "duplicity, one chain"
    chains = True
    note = "nothing of it can be removed: each increment needs all before it"

    def __init__(self, place: Path, tree: Path) -> None:
        """Take note of where things are."""
        super().__init__(place, tree)
        self._engine: Engine = engine_named("native", place / "cache")

    def make(self) -> None:
        """Make a passphrase file for ``cya restore``."""
        file = self.place / "passphrase"
        file.write_text(PASSWORD + "\n")
        file.chmod(0o600)

    def begin(self) -> None:
        """Make what is missing, and remove what a process that was ended left of its last increment."""
        super().begin()
        if os.listdir(self.repository):
            directory = catalog.read(self.repository).directories[0]
            _remove(self.repository, directory, (i for i in directory.sets if catalog.gap(directory.sets[i])))

    def backup(self, moment: int) -> None:
        """Make the next increment."""
        self._engine.backup(_job(self, moment, full=False))

    def prune(self) -> None:
        """Do nothing."""

    def kept(self) -> Mapping[int, int]:
        """Return what is there."""
        if not os.listdir(self.repository):
            return {}
        found = catalog.read(self.repository).backups
        return {each.increment.end: len(each.chain.increments) for each in found if each.chain is not None}

    def restores(self, moment: int, home: Path, to: Path) -> Mapping[str, tuple[list[str], Path]]:
        """Restore by both."""
        return {
            "cya": (restored_by_cya(self.repository, self.place, moment, to), to),
            "duplicity 0.8": (restored_by_duplicity(self.repository, moment, home, to), to),
        }


class Monthly(Linear):
    """A full on the first of a month, and an increment a day after it: made beside a linear chain."""

    label = "duplicity, monthly fulls"
    note = "`remove-all-inc-of-but-n-full 12`: of a chain only the full may stay, so a year of days does"

    def __init__(self, place: Path, tree: Path, linear: Linear) -> None:
        """Take note of the chain to share increments with; its backup of a day is made first."""
        super().__init__(place, tree)
        self._linear = linear

    def backup(self, moment: int) -> None:
        """Make a full, or take over the increment that was made of this day."""
        if not os.listdir(self.repository) or datetime.fromtimestamp(moment, UTC).day == 1:
            self._engine.backup(_job(self, moment, full=True))
            return
        ends = f".to.{time_to_name(moment).decode()}."
        for name in os.listdir(self._linear.repository):
            if ends in name:
                os.link(self._linear.repository / name, self.repository / name)

    def prune(self) -> None:
        """Remove the increments of all chains but the newest."""
        directory = catalog.read(self.repository).directories[0]
        fulls = sorted(increment.end for increment in directory.sets if increment.is_full)
        oldest = fulls[-_KEPT_CHAINS:][0]
        _remove(self.repository, directory, (i for i in directory.sets if not i.is_full and i.end <= oldest))


def _job(keeper: Keeper, moment: int, *, full: bool) -> BackupJob:
    return BackupJob(keeper.tree, keeper.repository, moment, Encryption(PASSWORD), full=full)


def _remove(repository: Path, directory: catalog.Directory, increments: Iterable[Increment]) -> None:
    for increment in increments:
        for name in directory.sets[increment].names:
            (repository / os.fsdecode(name)).unlink()
