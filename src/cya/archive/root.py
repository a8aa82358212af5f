"""One client's directory on the archive, opened by descriptors and locked while something is done to it."""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cya import catalog
from cya.archive.directories import exists, make, opened
from cya.archive.settings import calendar
from cya.config import root as root_config
from cya.config.root import RootConfig
from cya.durable import DIRECTORY, lock
from cya.errors import ArchiveError
from cya.tree import layout
from cya.tree.levels import Calendar, Period

DIRECTORY_MODES = {layout.STATE: 0o700, layout.OUTGOING: 0o755, layout.INCOMING: 0o755, layout.BACKUPS: 0o700}


@dataclass(frozen=True)
class Root:
    """An open root. The descriptors are of it and of its directories; the path is for messages.

    :ivar intake: where what comes from the client is put by renaming: ``state/``, or ``incoming/.intake`` where
        ``incoming/`` is another file system.
    """

    path: Path
    config: RootConfig
    top: int
    backups: int
    incoming: int
    state: int
    intake: int

    @property
    def is_apart(self) -> bool:
        """Whether what clients upload lies on another file system than what is committed."""
        return self.intake != self.state

    @property
    def name(self) -> str:
        """The client's name: that of the root's directory."""
        return self.path.name

    @property
    def calendar(self) -> Calendar:
        """How this root's tree is cut."""
        return calendar(self.config)

    @property
    def uploader(self) -> tuple[int, int]:
        """Uid and gid of who uploads: the configured user, or else whoever runs the archive.

        :raises ArchiveError: when there is no such user.
        """
        if self.config.user is None:
            return os.geteuid(), os.getegid()
        try:
            entry = pwd.getpwnam(self.config.user)
        except KeyError:
            raise ArchiveError(
                f"{self.path}: there is no user {self.config.user!r}; create it, or change cya.toml"
            ) from None
        return entry.pw_uid, entry.pw_gid

    def catalog_above(self, leaf: Period) -> catalog.Catalog:
        """Read a leaf and the periods that it lies in. ``backups/`` is the archive's own: no client has been in it."""
        return catalog.read_above(self.path, leaf)

    def catalog_of(self, period: Period) -> catalog.Catalog:
        """Read one period."""
        return catalog.read_periods(self.path, [period])

    def catalog(self) -> catalog.Catalog:
        """Read the whole committed tree."""
        return catalog.read(self.path)


@contextmanager
def open_root(path: Path, lock_name: str = layout.LOCK) -> Iterator[Root]:
    """Open and lock a root.

    :param lock_name: the lock in ``state/``; whoever only reads the tree has one of its own.
    :raises ArchiveError: when it is not one, or its directories may not be opened.
    :raises ConfigError: when its settings cannot be read.
    :raises Locked: when another run is at work on it.
    """
    fds: list[int] = []
    try:
        with told(path):
            path = path.resolve()
            try:
                top = os.open(path, DIRECTORY)
                fds.append(top)
                check_owner(path, os.fstat(top).st_uid)
                for name in (layout.BACKUPS, layout.INCOMING, layout.STATE):
                    fds.append(os.open(name, DIRECTORY, dir_fd=top))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise ArchiveError(_no_root(path, str(error.filename or path))) from error
            with lock(lock_name, f"{path.name}: another run is at work on {path}", dir_fd=fds[3]):
                fds.append(open_intake(fds[2], fds[3]))
                yield Root(path, root_config.load(path), *fds)
    finally:
        for fd in set(fds):
            os.close(fd)


@contextmanager
def read_root(path: Path) -> Iterator[Root]:
    """Open a root only to read it: no lock is taken, nothing is made, and whoever runs this may be anybody.

    :raises ArchiveError: when it is not one.
    :raises ConfigError: when its settings cannot be read.
    """
    if not (path / layout.BACKUPS).is_dir():
        raise ArchiveError(f"{path}: not an archive root; is the disk mounted? Make one: cya init-archive {path}")
    config = root_config.load(path)
    with (
        opened(path) as top,
        opened(layout.BACKUPS, top) as backups,
        opened(layout.INCOMING, top) as incoming,
        opened(layout.STATE, top) as state,
    ):
        intake = open_intake(incoming, state, reading=True)
        try:
            yield Root(path, config, top, backups, incoming, state, intake)
        finally:
            if intake != state:
                os.close(intake)


def open_intake(incoming: int, state: int, *, reading: bool = False) -> int:
    """Return the directory that uploads can be renamed into: ``state`` itself, or one that is made and opened here.

    :param reading: nothing is made.
    :raises ArchiveError: when one would have to be made where a client could put another in its place.
    """
    found = os.fstat(incoming)
    if found.st_dev == os.fstat(state).st_dev or (reading and not exists(layout.INTAKE, incoming)):
        return state
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        place = os.readlink(f"/proc/self/fd/{incoming}")
        raise ArchiveError(
            f"{place}: is a file system of its own, and its top directory is not the archive's alone (handover = "
            f'"rename" does not go with that); run: chown {os.geteuid()} {place} && chmod 755 {place}'
        )
    if not reading:
        make(layout.INTAKE, incoming, 0o700)
    fd = os.open(layout.INTAKE, DIRECTORY, dir_fd=incoming)
    if os.fstat(fd).st_uid != os.geteuid():
        os.close(fd)
        raise ArchiveError(
            f"{os.readlink(f'/proc/self/fd/{incoming}')}/{layout.INTAKE}: is not the archive's; remove it"
        )
    return fd


def _no_root(path: Path, missing: str) -> str:
    if (path / layout.BACKUPS).is_dir():
        return f"{path}: {missing} is missing; make the root whole again: cya init-archive {path} (backups stay)"
    return (
        f"{path}: not an archive root (no {missing}); is the disk mounted? To make a new one: cya init-archive {path}"
    )


def check_owner(path: Path, uid: int) -> None:
    """Root must not work on the root of an ordinary user, or that user could not use it any more."""
    if os.geteuid() == 0 and uid != 0:
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        raise ArchiveError(f"{path}: belongs to the user {name}; run as that user: runuser -u {name} -- cya …")


_ADVICE = {
    errno.ENOSPC: "the file system is full; free some space, nothing was lost, and run again",
    errno.EDQUOT: "the disk quota is used up; nothing was lost, raise it and run again",
    errno.EROFS: "the file system is mounted read-only",
    errno.EACCES: "not allowed; run as the user that the archive belongs to (often root)",
    errno.EPERM: "not allowed; run as the user that the archive belongs to (often root)",
    errno.EXDEV: "state/, backups/ and outgoing/ must lie on one file system (and one btrfs subvolume)",
    errno.EIO: "the disk reports an error; look at the kernel's log",
}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn an error of the system into one that tells an administrator what to do.

    :raises ArchiveError: in place of any OSError.
    """
    try:
        yield
    except RuntimeError as error:  # what Path.resolve() says of a loop of symbolic links
        raise ArchiveError(f"{path}: {error}") from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, (str, bytes)) else ""
        raise ArchiveError(f"{path}{where}: {advice}") from error
