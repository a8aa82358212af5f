"""Between an engine and a transport: what takes files away while more are made."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Spool(Protocol):
    """Takes finished files of an increment away, to the archive, while the engine makes the next ones.

    An engine of our own delivers a file, removes it, and waits until there is room. The driver of an outside program
    sees what that has finished, delivers it, and halts the program until there is room.
    """

    def deliver(self, file: Path, name: bytes) -> None:
        """Take a whole file, to which nobody writes any more, under its final name; do not wait.

        It gets a second name: the engine removes its own when it needs the file no more.

        :raises ArchiveError: when it cannot be taken.
        """

    def reuse(self, place: Path) -> bool:
        """Put a file that was taken away, and is needed no more, at a place, to be written over; tell if there is one.

        Its blocks are used again: else a snapshot of the file system that the files lie in would have to keep those of
        all files of a backup.
        """

    def has_room(self, patience: float = 0) -> bool:
        """Tell whether another file may be made now; wait up to ``patience`` seconds for that.

        :raises ArchiveError: when the files cannot be sent, so that going on makes no sense.
        """
