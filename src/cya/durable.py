"""Writing that survives a power cut, locks, and who else writes.

A file system may keep a rename and lose the data that it names: ext4 left files of 0 bytes after a real power cut. So
the rule is: data, fsync, rename, fsync of the directory.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cya.errors import Locked

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags that open a directory, and nothing that stands in its place."""


def sync_dir(path: str | bytes | int, dir_fd: int | None = None) -> None:
    """Fsync a directory, given by a path (relative to ``dir_fd`` if given) or an open descriptor."""
    if isinstance(path, int):
        os.fsync(path)
        return
    fd = os.open(path, DIRECTORY, dir_fd=dir_fd)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_file(name: str, data: bytes, *, dir_fd: int, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename over ``name``, fsync of the directory.

    :param name: its name in the directory ``dir_fd``.
    :param owner: uid and gid, where they are not to be this process's own.
    """
    temporary = f".{name}.tmp"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=dir_fd)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=dir_fd)
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        if owner is not None:
            os.fchown(fd, *owner)
        os.fchmod(fd, mode)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    os.fsync(dir_fd)


@contextmanager
def lock(path: str, busy: str, *, dir_fd: int | None = None) -> Iterator[None]:
    """Hold an exclusive flock on a file, made if needed, while the block runs; never wait.

    The lock goes with the process, so nothing is stale after kill -9.

    :param busy: the message when somebody else holds it.
    :raises Locked: when another process holds it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)
    try:
        flock(fd, busy)
        yield
    finally:
        os.close(fd)


def has_writer(fd: int) -> bool:
    """Tell whether any process has a file open for writing, or mapped: a read lease is granted only where none has.

    :param fd: the file, open for reading; it belongs to this process's user, or this process is root.
    :raises OSError: when the file system knows no leases (NFS, for one).
    """
    try:
        # Somebody who opens the file for writing in this moment must not kill us: SIGIO, the usual sign, would.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def flock(fd: int, busy: str) -> None:
    """Take an exclusive flock on an open file or directory until it is closed; never wait.

    :raises Locked: when another process holds it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Locked(busy) from error
