"""The engine's own directory: duplicity's archive-dir, and everything temporary."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cya import durable
from cya.engine import scratch
from cya.engine.duplicity_options import NAME
from cya.errors import EngineError
from cya.format import names
from cya.format.collection import FileSet

_READING = "restore-"


class Private:
    """A directory of this user's own, mode 0700.

    ::

        archive-dir/backup/    what duplicity knows of the chain: manifests, sigtars
        tmp/                   a backup's temporary files, duplicity's and ours; emptied before and after each one
        tmp/restore-…/         everything of one run that reads, see :meth:`reading`
        lock                   of backups
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache

    @property
    def archive_dir(self) -> Path:
        """The archive-dir of backups."""
        return self.cache / "archive-dir"

    @property
    def temporary(self) -> Path:
        """Where all that is temporary goes."""
        return self.cache / "tmp"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the directories, hold them for one backup, and leave nothing temporary behind.

        :raises EngineError: when the directory cannot be made or is not this user's.
        :raises Locked: when another backup holds it.
        """
        for path in (self.cache, self.archive_dir, self.temporary):
            _make(path)
        with durable.lock(str(self.cache / "lock"), f"{self.cache}: another backup holds it"):
            _empty(self.temporary)
            try:
                yield
            finally:
                _empty(self.temporary)

    @contextmanager
    def reading(self) -> Iterator[Path]:
        """Make a temporary directory of its own for one run that reads; it waits for no other run.

        :raises EngineError: when it cannot be made.
        """
        for path in (self.cache, self.temporary):
            _make(path)
        scratch.remove_stale(self.temporary, _READING)
        with scratch.held(self.temporary, _READING) as place:
            yield place

    def write(self, name: str, data: bytes) -> Path:
        """Write a temporary file that only this user can read."""
        path = self.temporary / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        return path

    def knows(self, chain: Sequence[FileSet]) -> bool:
        """Whether the archive-dir holds the metadata of a chain, so that nothing has to be fetched and decrypted."""
        known = self._known()
        return all(
            names.manifest(files.start, files.end, b"") in known
            and names.sigtar(files.start, files.end, b".gz") in known
            for files in chain
        )

    def forget_partial(self, served: Sequence[bytes]) -> None:
        """Remove from the archive-dir what is partial, or of an increment that is not served."""
        kept = {read.increment for read in map(names.parse, served) if read is not None}
        place = os.fsencode(self.archive_dir / NAME)
        for name in self._known():
            read = names.parse(name)
            if read is None or read.partial or read.increment not in kept:
                _remove(os.path.join(place, name))
        if self.temporary.is_dir():
            _empty(self.temporary)

    def _known(self) -> list[bytes]:
        try:
            return os.listdir(os.fsencode(self.archive_dir / NAME))
        except FileNotFoundError:
            return []


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = path.lstat()
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.geteuid():
            raise EngineError(f"{path}: the engine's directory must be a directory of this user's own")
        if stat.S_IMODE(there.st_mode) != 0o700:
            path.chmod(0o700)
    except OSError as error:
        raise EngineError(f"{path}: the engine's directory cannot be made: {error.strerror}") from error


def _empty(temporary: Path) -> None:
    scratch.remove_stale(temporary, _READING)
    for name in os.listdir(os.fsencode(temporary)):
        if not scratch.is_scratch(os.fsdecode(name), _READING):
            _remove(os.path.join(os.fsencode(temporary), name))


def _remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)
