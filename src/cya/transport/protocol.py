"""What a transport does: it brings the served chain to the engine, and the engine's files to ``incoming/next``."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from cya.spool import Spool


class Next(Protocol):
    """``incoming/next``, here or on another host."""

    @property
    def directory(self) -> Path:
        """Where engines read the served chain, and write."""

    @property
    def spool(self) -> Spool | None:
        """What takes finished files away; None where they stay where the engine writes them."""

    def held(self) -> AbstractContextManager[None]:
        """Keep other uploads out for the block, and have the served chain in ``directory``. The rest works within it.

        :raises Locked: when another upload is under way.
        :raises NothingToDo: when the archive wants no upload now, or has one that it has not collected yet.
        :raises ArchiveError: when it cannot be reached, or is not as it should be.
        """

    def names(self) -> list[bytes]:
        """Return the names in ``next``, those included that are still on their way."""

    def remove(self, names: Iterable[bytes]) -> None:
        """Remove files of an upload that was broken off, in this order; nothing is sent any more then.

        :raises ArchiveError: when they cannot be removed.
        """

    def finish(self, names: Iterable[bytes]) -> int:
        """See all of the new files through, and say that the upload is whole; return their number of bytes.

        :param names: all new files, in the order in which they have to arrive.
        :raises ArchiveError: when they did not all arrive, or ``next`` holds anything else.
        """
