"""What keeps a tree's backups: the part that all ways of keeping have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

DAYS, WEEKS, MONTHS = 14, 52, 120
"""So many of the newest days, weeks and months are kept of each that can."""


class Keeper(ABC):
    """Keeps the backups of one tree below a place of its own.

    :ivar label: for people.
    :ivar note: how it is pruned.
    :ivar chains: whether backups stand on others.
    :ivar only_kept: only those are made that will still be there at the end: see :func:`kept_at_the_end`.
    """

    label: str
    note: str
    chains: bool
    only_kept = False

    def __init__(self, place: Path, tree: Path) -> None:
        """Take note of where things are.

        :param place: a directory; what is kept lies in ``repository`` below it.
        """
        self.place, self.tree = place, tree
        self.repository = place / "repository"

    def begin(self) -> None:
        """Make what is needed before the first backup, where it is not there, and get ready for the next one."""
        if not self.repository.exists():
            self.repository.mkdir(parents=True)
            self.make()

    @abstractmethod
    def make(self) -> None:
        """Make what is needed before the first backup; the directory of the repository is there."""

    @abstractmethod
    def backup(self, moment: int) -> None:
        """Make a backup of the tree, as if the time were ``moment``, seconds since the epoch."""

    @abstractmethod
    def prune(self) -> None:
        """Remove what need not be kept."""

    @abstractmethod
    def kept(self) -> Mapping[int, int]:
        """Return all backups that are there: their times, and how many increments have to be read for each."""

    @abstractmethod
    def restores(self, moment: int, home: Path, to: Path) -> Mapping[str, tuple[list[str], Path]]:
        """Return how a backup is restored: by a program's name its command, and where the tree will lie.

        :param home: an empty directory for what a program keeps in the home of its user.
        :param to: an empty directory.
        """


def kept_at_the_end(moments: Sequence[int]) -> set[int]:
    """Return which of these times still have a backup when all are made: the last of each day, week and month."""
    kept: set[int] = set()
    for count, period in ((DAYS, "%Y-%j"), (WEEKS, "%G-%V"), (MONTHS, "%Y-%m")):
        last = {datetime.fromtimestamp(moment, UTC).strftime(period): moment for moment in sorted(moments)}
        kept |= set(list(last.values())[-count:])
    return kept
