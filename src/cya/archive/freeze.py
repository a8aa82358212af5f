"""FREEZE: make each new file the archive's own and unwritable, on the disk, and compare it with the client's word."""

from __future__ import annotations

import hashlib
import os
import stat

from cya.archive.inspect import Batch
from cya.errors import BatchRefused

MODE = 0o440


def freeze(fd: int, batch: Batch, client_uid: int, client_gid: int) -> dict[str, str]:
    """Freeze all files of a batch; return the SHA-256 of each by its name. Done again, it does no harm.

    :param fd: the batch directory.
    :param client_uid, client_gid: who uploads; the group may read, so that sigtars and manifests can be served again.
    :raises BatchRefused: when one is not a plain file of the client's, or not what its ``FINISHED`` says.
    """
    return {name.decode(): _freeze(fd, name, batch, client_uid, client_gid) for name in sorted(batch.files.names)}


def _freeze(directory: int, name: bytes, batch: Batch, uid: int, gid: int) -> str:
    shown = name.decode()
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        raise BatchRefused(f"{shown} cannot be opened: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise BatchRefused(f"{shown} is not a plain file")
        if found.st_uid not in (uid, os.geteuid()):
            raise BatchRefused(f"{shown} belongs to user {found.st_uid}, not to the client")
        if found.st_size == 0:
            raise BatchRefused(f"{shown} is empty; no file of a backup is, so this one was lost on the way")
        if found.st_nlink != 1:
            raise BatchRefused(f"{shown} has {found.st_nlink} names; a new file has one")
        if os.geteuid() == 0:
            os.fchown(fd, 0, gid)
        os.fchmod(fd, MODE)
        with open(fd, "rb", closefd=False) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if batch.promised is not None:
            promised = batch.promised[name]
            if found.st_size != promised.size:
                raise BatchRefused(f"{shown} has {found.st_size} bytes and should have {promised.size}")
            if digest != promised.sha256:
                raise BatchRefused(f"{shown} has not the SHA-256 that was announced")
        os.fsync(fd)
        return digest
    finally:
        os.close(fd)
