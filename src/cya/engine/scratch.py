"""Directories for one run, locked while they are in use, so that what a killed run left can be told from them.

What lies in them is plaintext: it goes when the run ends, however it ends, and after kill -9 the next run removes it.

Who may write in the directory above can rename them, and put something else there, at any time. So each is opened once,
looked at, and emptied by its descriptor: nobody else can put anything into it, and no link leads anywhere else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from cya.durable import DIRECTORY
from cya.errors import EngineError

_TEMPORARY = "cya-"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_OTHERS_WRITE = 0o022
_MOST_TRIES = 100


class Held(NamedTuple):
    """A directory in use: its name in the one above, and a descriptor of it."""

    name: str
    fd: int


@contextmanager
def held(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a directory in ``parent`` that nobody else takes for stale, and remove it when the block ends.

    :raises EngineError: when it cannot be made.
    """
    try:
        fd = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unmade(parent, error) from error
    try:
        with held_in(fd, parent, prefix) as made:
            yield parent / made.name
    finally:
        os.close(fd)


@contextmanager
def held_in(parent: int, shown: Path, prefix: str) -> Iterator[Held]:
    """As :func:`held`, in an open directory; what is yielded leads into it wherever it is moved.

    :param shown: what the open directory is called in messages.
    """
    try:
        made = _made(parent, prefix)
    except OSError as error:
        raise _unmade(shown, error) from error
    try:
        yield made
    finally:
        _remove(parent, made)
        os.close(made.fd)


@contextmanager
def temporary() -> Iterator[Path]:
    """Make one in the system's directory for temporary files, for runs that have no cache."""
    parent = Path(tempfile.gettempdir())
    remove_stale(parent, _TEMPORARY)
    with held(parent, _TEMPORARY) as path:
        yield path


def remove_stale(parent: Path | int, prefix: str) -> None:
    """Remove directories that killed runs of this user left in ``parent``, a path or an open directory.

    Where a directory cannot be locked at all (NFS), nothing is taken for stale.
    """
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if isinstance(parent, Path) else parent
    try:
        for name in os.listdir(fd):
            if is_scratch(name, prefix):
                with suppress(OSError):
                    _remove_if_stale(fd, name)
    finally:
        if fd != parent:
            os.close(fd)


def is_scratch(name: str, prefix: str) -> bool:
    """Whether this is a name that :func:`held` gives."""
    return re.fullmatch(re.escape(prefix) + r"\w{8}", name, re.ASCII) is not None


def _unmade(parent: Path, error: OSError) -> EngineError:
    return EngineError(f"{parent}: no directory can be made in it: {error.strerror}")


def _made(parent: int, prefix: str) -> Held:
    for _ in range(_MOST_TRIES):
        name = prefix + "".join(secrets.choice(_LETTERS) for _ in range(8))
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
            fd = os.open(name, DIRECTORY, dir_fd=parent)
        except (FileExistsError, FileNotFoundError):
            continue  # not locked yet, it was taken for stale
        try:
            if _is_own(fd) and not os.listdir(fd) and _locked(fd, parent, name):
                _without_acls(fd)
                return Held(name, fd)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise OSError(errno.EBUSY, "somebody else changes what is made there, or whose it is")


def _without_acls(fd: int) -> None:
    """Take away what a directory got from the one above, and would hand down to all that is made in it."""
    for name in ("system.posix_acl_default", "system.posix_acl_access"):
        with suppress(OSError):  # there is none
            os.removexattr(fd, name)


def _is_own(fd: int) -> bool:
    """Whether nobody else can put anything into a directory."""
    there = os.fstat(fd)
    return there.st_uid == os.geteuid() and not there.st_mode & _OTHERS_WRITE


def _locked(fd: int, parent: int, name: str) -> bool:
    """Lock a new directory; False when somebody else was faster, and removes it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks here; see remove_stale
    try:
        return os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=parent, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove_if_stale(parent: int, name: str) -> None:
    fd = os.open(name, DIRECTORY, dir_fd=parent)
    try:
        if _is_own(fd):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(parent, Held(name, fd))
    finally:
        os.close(fd)


def _remove(parent: int, stale: Held) -> None:
    """Remove a directory with all in it, as far as that can be."""
    _empty(stale.fd)
    with suppress(OSError):
        os.rmdir(stale.name, dir_fd=parent)


def _empty(top: int) -> None:
    """Remove all that lies in a directory.

    What lies deeper is first brought to the top: so two directories are open at a time, however deep it is.
    """
    os.lseek(top, 0, os.SEEK_SET)  # btrfs lists nothing that was made after the directory was opened
    waiting = os.listdir(top)
    while waiting:
        name = waiting.pop()
        with suppress(OSError):
            if not _is_unlinked(name, top):
                with _opened(name, top) as inner:
                    waiting += _brought_up(inner, top)
                os.rmdir(name, dir_fd=top)


def _brought_up(inner: int, top: int) -> Iterator[str]:
    """Remove what is in a directory, or bring it to another one; yield its name there."""
    for name in os.listdir(inner):
        with suppress(OSError):
            if not _is_unlinked(name, inner):
                with _opened(name, inner):  # one without write permission cannot be moved
                    os.rename(name, new := secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=top)
                yield new


def _is_unlinked(name: str, parent: int) -> bool:
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        return False
    return True


@contextmanager
def _opened(name: str, parent: int) -> Iterator[int]:
    """Open a directory, and permit ourselves everything in it: restored ones may be without write permission."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        with suppress(OSError):
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        fd = os.open(".", DIRECTORY, dir_fd=place)
        try:
            yield fd
        finally:
            os.close(fd)
    finally:
        os.close(place)
