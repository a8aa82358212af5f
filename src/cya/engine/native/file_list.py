"""The Filelist of a manifest, gathered on the disk: it may have a line for each file of a system."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cya.format import manifest
from cya.format.quoting import quote

_WORDS = {"new": b"new", "changed": b"changed", "deleted": b"deleted"}
_PIECE = 1 << 18


class FileList:
    """Regular files that are new, changed or deleted."""

    def __init__(self, scratch: Path) -> None:
        """Begin, in a file that is made there."""
        self._file: BinaryIO = open(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")  # noqa: SIM115
        self._count = 0

    def add(self, path: bytes, status: manifest.Status) -> None:
        """Add a path, relative to the source."""
        self._file.write(b"    %-7b  %b\n" % (_WORDS[status], quote(path)))
        self._count += 1

    def manifest(self, head: manifest.Manifest) -> Iterator[bytes]:
        """Yield the manifest with this list, in pieces.

        :param head: all else of the manifest.
        """
        yield manifest.serialise(head)
        yield b"Filelist %d\n" % self._count
        self._file.seek(0)
        while data := self._file.read(_PIECE):
            yield data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
