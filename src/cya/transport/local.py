"""``incoming/next`` of an archive on a local disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cya.durable import DIRECTORY, flock, write_file
from cya.errors import ArchiveError, NothingToDo
from cya.spool import Spool
from cya.threads import mapped
from cya.transport import marker
from cya.tree import layout


class LocalNext:
    """Where a client on the archive's own machine puts its files.

    :ivar directory: what engines write into.
    :ivar spool: none: the files stay there.
    """

    spool: Spool | None = None

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / layout.INCOMING / layout.NEXT

    def names(self) -> list[bytes]:
        """Return the names in ``next``.

        :raises ArchiveError: when the root is missing or may not be read.
        :raises NothingToDo: when the archive wants no upload now, or has one that it has not collected yet.
        """
        if not self.directory.parent.is_dir():
            raise ArchiveError(
                f"{self.root}: not an archive root; is the disk mounted? Make one: cya init-archive {self.root}"
            )
        try:
            names = os.listdir(os.fsencode(self.directory))
        except FileNotFoundError:
            raise NothingToDo(
                f"{self.root}: no upload is wanted now (there is no incoming/next); run: cya collect {self.root}"
            ) from None
        except OSError as error:
            raise ArchiveError(f"{self.directory}: {error.strerror}; run as the user that uploads") from error
        if layout.MARKER.encode() in names:
            raise NothingToDo(f"{self.root}: the last upload has not been collected yet; run: cya collect {self.root}")
        return names

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other uploads out of ``next`` for the block: two configs may name one archive.

        :raises Locked: when another upload is under way.
        :raises NothingToDo, ArchiveError: as :meth:`names`.
        """
        self.names()
        fd = os.open(self.directory, DIRECTORY)
        try:
            flock(fd, f"{self.root}: another upload into this archive is under way")
            yield
        finally:
            os.close(fd)

    def remove(self, names: Iterable[bytes]) -> None:
        """Remove files of an upload that was broken off."""
        for name in names:
            (self.directory / os.fsdecode(name)).unlink(missing_ok=True)

    def finish(self, names: Iterable[bytes]) -> int:
        """Say that the upload is whole; return the number of bytes in the new files.

        :param names: all new files. They are read once, for their SHA-256, and made sure to be on the disk.
        """
        fd = os.open(self.directory, DIRECTORY)
        try:
            new = sorted(names)
            size = sum(os.stat(name, dir_fd=fd).st_size for name in new)
            files = tuple(mapped(lambda name: _described(fd, name), new, size))
            write_file(layout.MARKER, marker.encode(marker.Marker(files)), dir_fd=fd)
        finally:
            os.close(fd)
        return sum(file.size for file in files)


def _described(directory: int, name: bytes) -> marker.File:
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return marker.File(name.decode(), os.fstat(file.fileno()).st_size, digest)
