"""Copies, where a hard link will not do: clones that share their blocks where the file system can do that."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from contextlib import suppress

_FICLONE = 0x40049409
"""``_IOW(0x94, 9, int)`` of linux/fs.h."""
_CHUNK = 1 << 20
_NO_CLONE = (errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)


class Grown(Exception):
    """The source is longer than it was."""


def copy(source: int, name: str, directory: int, mode: int, gid: int) -> tuple[int, str]:
    """Copy an open file to ``name`` in a directory of the archive's, on the disk; return size and SHA-256 of the copy.

    The copy belongs to whoever runs this, and where that is root to the group ``gid``. What becomes of the source
    meanwhile does not matter: both figures are of the copy.

    :param source: a descriptor open for reading, at its beginning.
    :param name: not there yet.
    :raises Grown: when somebody goes on to write at the end of the source; the copy would never be whole.
    """
    most = os.fstat(source).st_size
    temporary = temporary_name(name)
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        digest = _clone(source, fd) or _copy(source, fd, most)
        if os.geteuid() == 0:
            os.fchown(fd, 0, gid)
        os.fchmod(fd, mode)
        os.fsync(fd)
        size = os.fstat(fd).st_size
        if size > most:
            raise Grown
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    finally:
        os.close(fd)
    return size, digest


def temporary_name(name: str) -> str:
    """Return what a copy is called until it is whole. A run that was killed may leave one."""
    return f".{name}.copy"


def same_file(name: str, one: int, other: int) -> bool:
    """Tell whether ``name`` in two directories is one file, or a copy with the same bytes."""
    here = os.stat(name, dir_fd=one, follow_symlinks=False)
    there = os.stat(name, dir_fd=other, follow_symlinks=False)
    if os.path.samestat(here, there):
        return True
    return here.st_size == there.st_size and _digest(name, one) == _digest(name, other)


def _clone(source: int, fd: int) -> str | None:
    """Let both files share their blocks; None where the file system cannot."""
    try:
        fcntl.ioctl(fd, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return None
        raise
    with open(fd, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: int, fd: int, most: int) -> str:
    digest = hashlib.sha256()
    copied = 0
    with open(fd, "wb", closefd=False) as file:
        while copied <= most and (chunk := os.read(source, _CHUNK)):
            digest.update(chunk)
            copied += file.write(chunk)
    return digest.hexdigest()


def _digest(name: str, directory: int) -> str | None:
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
