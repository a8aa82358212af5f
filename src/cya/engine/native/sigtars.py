"""Writes an increment's sigtar twice: sealed for the archive, and as many gzip members for ourselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

from cya.engine.native.members import member
from cya.engine.native.sealing import END_OF_TAR, Sealed
from cya.engine.native.tasks import Part


class Sigtars:
    """Both sigtars of an increment. The same deflated parts go into both.

    :ivar size: of the local one in bytes, so far.
    :ivar crc: its CRC-32.
    """

    def __init__(self, sealed: Sealed, local: Path) -> None:
        """Begin.

        :param sealed: the archive's.
        :param local: where the local one is made.
        """
        self._sealed = sealed
        self._file: BinaryIO = open(os.open(local, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")  # noqa: SIM115
        self.size = 0
        self.crc = 0

    def add(self, part: Part) -> int:
        """Add a part; return where in the local sigtar its member begins."""
        start = self.size
        for piece in member(part.deflated, part.crc, part.length):
            self._file.write(piece)
            self.crc = isal_zlib.crc32(piece, self.crc)
            self.size += len(piece)
        self._sealed.write(part)
        return start

    def finish(self) -> None:
        """Close both."""
        self.add(END_OF_TAR)
        self._sealed.close()
        self._file.close()

    def abandon(self) -> None:
        """Close both as they are."""
        self._sealed.abandon()
        self._file.close()
