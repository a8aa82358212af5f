"""One file of an upload: opened so that nothing can be swapped under it, and looked at before it is trusted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from cya.archive.attributes import is_encrypted
from cya.archive.directories import opened
from cya.archive.inspect import Batch
from cya.archive.writers import StillOpen
from cya.errors import BatchRefused
from cya.transport.marker import File

MODE = 0o440
"""Of every committed file. The client's group may read, so that sigtars and manifests can be served again."""


@contextmanager
def opened_file(directory: int, name: bytes, uid: int, gid: int) -> Iterator[int]:
    """Open a new file of a batch for the block.

    :param uid, gid: who uploads. A file may be the archive's own already, when a run was killed while it froze the
        batch; then the group is the client's. Any other file of root's has come here by a hard link or a rename.
    :raises BatchRefused: when it is no plain file of the client's with one name and no holes.
    :raises StillOpen: when the client holds a lease on it.
    """
    shown = name.decode()
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except BlockingIOError:
        raise StillOpen from None
    except OSError as error:
        raise BatchRefused(f"{shown} cannot be opened: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise BatchRefused(f"{shown} is not a plain file")
        if found.st_uid != uid and (found.st_uid, found.st_gid) != (os.geteuid(), gid):
            raise BatchRefused(f"{shown} belongs to user {found.st_uid}, not to the client")
        if found.st_size == 0:
            raise BatchRefused(f"{shown} is empty; no file of a backup is, so this one was lost on the way")
        if is_encrypted(fd) and not _lies_in_encrypted(directory):
            raise BatchRefused(f"{shown} is encrypted by the file system, with a key that the client can take back")
        check_whole(fd, shown)
        yield fd
    finally:
        os.close(fd)


def _lies_in_encrypted(directory: int) -> bool:
    """Tell whether the archive's own directory around a batch is encrypted: then it is an administrator's doing."""
    with opened("..", directory) as around:
        return is_encrypted(around)


def check_whole(fd: int, shown: str) -> None:
    """Check that nothing else is a name of the file, and that it has no holes; until it is frozen it may get either.

    A file of 8 TiB that is one hole costs its sender nothing, and would keep the archive reading for hours.

    :raises BatchRefused: when it has another name, by which the client could still reach it, or holes.
    """
    found = os.fstat(fd)
    if found.st_nlink != 1:
        raise BatchRefused(f"{shown} has {found.st_nlink} names; a new file has one")
    if os.lseek(fd, 0, os.SEEK_HOLE) < found.st_size:
        raise BatchRefused(f"{shown} has holes (it is sparse); no file of a backup has")
    os.lseek(fd, 0, os.SEEK_SET)


def own(fd: int, gid: int) -> None:
    """Make a file root's, where root runs, and unwritable. The mode comes first and last: a chown drops setuid bits."""
    if os.geteuid() == 0:
        os.fchmod(fd, MODE)
        os.fchown(fd, 0, gid)
    os.fchmod(fd, MODE)


def compare_size(batch: Batch, name: bytes, size: int) -> None:
    """Compare a file's size with the client's word, before anything of it is read.

    :raises BatchRefused: when it is not what ``FINISHED`` says.
    """
    promised: File | None = (batch.promised or {}).get(name)
    if promised is not None and size != promised.size:
        raise BatchRefused(f"{name.decode()} has {size} bytes and should have {promised.size}")


def compare(batch: Batch, name: bytes, size: int, digest: str) -> None:
    """Compare a file with the client's word.

    :raises BatchRefused: when it is not what ``FINISHED`` says.
    """
    compare_size(batch, name, size)
    promised: File | None = (batch.promised or {}).get(name)
    if promised is not None and digest != promised.sha256:
        raise BatchRefused(f"{name.decode()} has not the SHA-256 that was announced")
