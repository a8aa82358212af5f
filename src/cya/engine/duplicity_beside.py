"""Puts back what ``.dupext`` says, after stock duplicity has restored all else."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

from cya.engine import placing, scratch
from cya.engine.duplicity_side import DIRECTORY_ONLY, NAME, is_ours_in
from cya.engine.native.reading import flagging, metadata
from cya.engine.native.reading.applying import Applying
from cya.engine.native.reading.bringing import brought
from cya.engine.native.reading.extras import Extras
from cya.engine.native.reading.linking import Linking
from cya.engine.native.reading.opening import Opener
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.steps import steps
from cya.engine.native.reading.supply import Here
from cya.engine.native.reading.target import Existing, Target, path_of
from cya.engine.native.reading.unset import told_of
from cya.engine.protocol import Lost, RestoreJob
from cya.errors import DecryptionFailed, EngineError
from cya.format.collection import FileSet
from cya.format.key import key_of
from cya.format.key import path_of as path_of_key

_EXISTING = {"refuse": Existing.REPLACE, "keep": Existing.KEEP, "replace": Existing.REPLACE, "resume": Existing.REPLACE}
"""Where nothing was there, all that is there now has been restored."""


class Beside:
    """What is kept beside one backup."""

    def __init__(self, job: RestoreJob, chain: Sequence[FileSet], place: Path, gnupg_home: Path | None) -> None:
        """Read it.

        :param place: a private directory.
        :raises DecryptionFailed: when a manifest is not signed by a key that the job asks for.
        """
        self._job, self._place = job, place
        self._restored = Restored()
        opener, supply = Opener.of(job.encryption, place, gnupg_home), Here(job.source)
        known = []
        for step, wrong in steps(chain, supply, opener):
            if job.encryption.signers and wrong is not None:
                # Duplicity does not look who has signed; volumes it compares with what the manifest says of them.
                raise DecryptionFailed(step.locked or f"{(step.files.manifest or b'the manifest').decode()}: {wrong}")
            known.append(step)
        try:
            side = brought(known, supply, opener, place, job.time, self._restored)
        except DecryptionFailed:
            side = None  # duplicity will say so, too, in its own words
        self._asked = sorted(key_of(os.fsencode(path)) for path in job.paths)
        self._found = metadata.read(side, self._asked, job.without, place, self._restored)
        self._known = side is not None
        self._kept: frozenset[bytes] = frozenset()
        if job.existing == "keep":
            instead = self._found.names.instead
            there = (instead.get(key, key) for key in self._keys())
            self._kept = frozenset(key for key in there if os.path.lexists(self._at(key)))
        # Of these nobody knows whether they are the files of the backup.
        self._firsts_kept: frozenset[bytes] = frozenset()
        if job.existing == "keep":
            firsts = (names[0] for names in self._found.names.sets)
            self._firsts_kept = frozenset(key for key in firsts if os.path.lexists(self._at(key)))
        self._before = _side_names(job.destination)
        self._shut: Shut | None = None

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Take away what would forbid to restore, and let nobody into a new destination, until the block ends."""
        job = self._job
        if job.existing in ("replace", "resume"):
            root = os.open(job.destination, DIRECTORY_ONLY)
            try:
                flagging.take_off(root, self._found.flagged)
            finally:
                os.close(root)
        if os.geteuid() != 0 or job.existing != "refuse" or not placing.is_empty(job.destination):
            yield
            return
        with closing(Shut(job.destination)) as self._shut:
            yield

    def placed(self, into: Path | None) -> AbstractContextManager[Path]:
        """Yield an empty or missing place for duplicity to restore to; see :func:`cya.engine.placing.placed`."""
        if self._shut is not None and into is None:
            return self._shut.placed()
        return placing.placed(self._job.destination, into, self._job.existing)

    def paths(self) -> Iterator[tuple[Path | None, Path | None]]:
        """Yield what duplicity has to restore, and where to below the destination; None is everything."""
        sockets = {each.key for each in self._found.sockets}
        if not self._job.paths:
            yield None, None
        instead = self._found.names.instead
        # What gets another place lies in one of the others, which must be there first.
        for key in sorted(self._found.names.wanted, key=lambda key: key in instead):
            if instead.get(key, key) not in sockets:
                yield _path(key), _path(instead.get(key, key))

    def apply(self) -> tuple[list[Lost], list[str]]:
        """Put it back; return what is not as it was, and notes."""
        if not self._known:
            return [], []
        found, restored, job = self._found, self._restored, self._job
        root = os.open(job.destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        extras = Extras(self._place / found.file if found.file is not None else None)
        owners = Owners(numeric=job.numeric_owner)
        shut = self._shut is not None and self._shut.is_shut
        applying = Applying(root, extras, found.names.instead, self._kept, restored, shut=shut)
        try:
            applying.remember(found.names.sets, found.sockets)
            if found.without:
                _remove_side(root, self._before)
            with (
                scratch.held_in(root, job.destination, placing.PREFIX) as work,
                closing(
                    Target(root, path_of(work.fd), _EXISTING[job.existing], owners, "own", job.time, extras)
                ) as target,
            ):
                Linking(root, target, path_of(work.fd), restored, replaces=not found.ours).make(
                    found.names.sets, found.sockets, self._firsts_kept
                )
            applying.apply()
            flagging.set_flags(root, [each for each in found.flagged if each[0]], self._kept, restored)
            if self._shut is not None:
                self._shut.open()  # an immutable destination could not be
            flagging.set_flags(root, [each for each in found.flagged if not each[0]], self._kept, restored)
        finally:
            applying.close()
            extras.close()
            os.close(root)
        restored.add_unset(target.unset)
        notes, unset = told_of(restored.unset)
        lost = [Lost(os.fsdecode(path_of_key(key)), reason) for key, reason in sorted(restored.lost.items())]
        return lost + unset, notes

    def _keys(self) -> Iterator[bytes]:
        if self._found.file is not None:
            with closing(Extras(self._place / self._found.file)) as extras:
                yield from (key for key, _ in extras.items())

    def _at(self, key: bytes) -> bytes:
        return os.path.join(os.fsencode(self._job.destination), path_of_key(key))


class Shut:
    """A destination that was empty, which nobody but root can enter until all is done.

    Duplicity gives everybody what is his; who could reach it could put a program of his own in the place of one that
    then gets capabilities. Duplicity opens the directory that it restores to when it ends: so that is another one.

    :ivar is_shut: whether that could be done.
    """

    def __init__(self, destination: Path) -> None:
        """Shut it."""
        self._path = destination
        self._root = os.open(destination, DIRECTORY_ONLY)
        self._later = os.fstat(self._root)
        self.is_shut = self._is_open = False
        with suppress(OSError):  # a file system without owners, or one that is read-only, which will be told
            os.fchown(self._root, 0, 0)
            os.fchmod(self._root, 0o700)
            self.is_shut = True

    @contextmanager
    def placed(self) -> Iterator[Path]:
        """Yield a missing directory for everything; what is in it gets its place even when the block fails."""
        scratch.remove_stale(self._root, placing.PREFIX)
        placing.check(self._path, None, "refuse")
        try:
            with scratch.held_in(self._root, self._path, placing.PREFIX) as held:
                try:
                    yield self._path / held.name / "all"
                finally:
                    self._take(held.fd)
        finally:
            os.utime(self._root, ns=(self._later.st_atime_ns, self._later.st_mtime_ns))

    def open(self) -> None:
        """Give it the owner and the mode that it is to have."""
        if self._is_open:
            return
        self.is_shut, self._is_open = False, True
        with suppress(OSError):  # where it could not be shut, either
            os.fchown(self._root, self._later.st_uid, self._later.st_gid)
        with suppress(OSError):
            os.fchmod(self._root, stat.S_IMODE(self._later.st_mode))

    def close(self) -> None:
        """Open it if that has not been done; close all."""
        try:
            self.open()
        finally:
            os.close(self._root)

    def _take(self, held: int) -> None:
        """Move all that duplicity has restored to its place."""
        try:
            new = os.open("all", DIRECTORY_ONLY, dir_fd=held)
        except FileNotFoundError:
            return  # it did not get so far
        try:
            self._later = os.fstat(new)
            for name in os.listdir(new):
                os.rename(name, name, src_dir_fd=new, dst_dir_fd=self._root)
        except OSError as error:
            raise EngineError(f"{self._path}: what is restored cannot be moved into place: {error.strerror}") from error
        finally:
            os.close(new)


def _side_names(destination: Path) -> frozenset[str]:
    """Return what is in ``.dupext`` at the destination, and itself (an empty name).

    What an interrupted restore, or a killed backup, of ours left there does not count.
    """
    found: set[str] = set()
    with suppress(OSError):
        root = os.open(destination, DIRECTORY_ONLY)
        try:
            place = os.open(NAME, DIRECTORY_ONLY, dir_fd=root)
            try:
                if not is_ours_in(place):
                    found.add("")
                    for above, directories, files, _ in os.fwalk(".", dir_fd=place):
                        found.update(os.path.normpath(os.path.join(above, name)) for name in directories + files)
            finally:
                os.close(place)
        finally:
            os.close(root)
    return frozenset(found)


def _remove_side(root: int, before: Collection[str]) -> None:
    """Remove ``.dupext``, but for what was there before; no symbolic link is followed."""
    with suppress(OSError):
        place = os.open(NAME, DIRECTORY_ONLY, dir_fd=root)
        try:
            for above, directories, files, fd in os.fwalk(".", topdown=False, dir_fd=place):
                for remove, names in ((os.unlink, files), (_remove_directory, directories)):
                    for name in names:
                        if os.path.normpath(os.path.join(above, name)) not in before:
                            with suppress(OSError):
                                remove(name, dir_fd=fd)
        finally:
            os.close(place)
        if "" not in before:
            os.rmdir(NAME, dir_fd=root)


def _remove_directory(name: str, *, dir_fd: int) -> None:
    """Remove one; a symbolic link to one is listed as one."""
    try:
        os.rmdir(name, dir_fd=dir_fd)
    except NotADirectoryError:
        os.unlink(name, dir_fd=dir_fd)


def _path(key: bytes) -> Path:
    return Path(os.fsdecode(path_of_key(key)))
