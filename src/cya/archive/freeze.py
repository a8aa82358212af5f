"""FREEZE: make each new file the archive's own and unwritable, on the disk, and compare it with the client's word."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

from cya.archive.attributes import TooMany, drop_attributes
from cya.archive.inspect import Batch
from cya.archive.upload import check_whole, compare, compare_size, opened_file, own
from cya.archive.writers import StillOpen, check_no_writer
from cya.errors import BatchRefused
from cya.threads import mapped


def freeze(fd: int, batch: Batch, client_uid: int, client_gid: int) -> dict[str, str]:
    """Freeze all files of a batch; return the SHA-256 of each by its name. Done again, it does no harm.

    :param fd: the batch directory.
    :param client_uid, client_gid: who uploads.
    :raises BatchRefused: when one is not a plain file of the client's, or not what its ``FINISHED`` says.
    :raises StillOpen: when a process has one open for writing; its argument is the name.
    :raises NoLeases: when the file system cannot tell.
    """

    def frozen(name: bytes) -> tuple[str, str]:
        try:
            return name.decode(), _freeze(fd, name, batch, client_uid, client_gid)
        except StillOpen:
            raise StillOpen(name.decode()) from None

    names = sorted(batch.files.names)
    digests = dict(mapped(frozen, names, sum(_size(fd, name) for name in names)))
    _sync(fd, digests)
    return digests


def _size(directory: int, name: bytes) -> int:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_size
    except OSError:
        return 0  # that it is gone is told when it is opened


def _sync(directory: int, names: Iterable[str]) -> None:
    """Bring all files to the disk, after all have been changed: the first fsync writes the journal for all of them."""
    for name in names:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _freeze(directory: int, name: bytes, batch: Batch, uid: int, gid: int) -> str:
    with opened_file(directory, name, uid, gid) as fd:
        own(fd, gid)
        try:
            drop_attributes(fd)
        except TooMany:
            raise BatchRefused(f"{name.decode()} has too many extended attributes") from None
        check_no_writer(fd)
        check_whole(fd, name.decode())  # again: until now the client could have given it another name, or holes
        compare_size(batch, name, os.fstat(fd).st_size)
        with open(fd, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        compare(batch, name, os.fstat(fd).st_size, digest)
        return digest
