"""Looks what a file has that Duplicity's format cannot hold: extended attributes, inode flags, holes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from cya.metadata import inode_flags, sparse

ACCESS, DEFAULT = b"system.posix_acl_access", b"system.posix_acl_default"
"""The attributes that hold ACLs."""
CAPABILITY = b"security.capability"

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NONE = frozenset((errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.EINVAL))
"""The file system, or this kind of file, has no such thing."""
_GONE = frozenset((errno.ENOENT, errno.ENODATA, errno.ESTALE))


class Extra(NamedTuple):
    """What a file has beside content, owner, mode and time; see :func:`look`.

    :ivar attributes: names and values, ACLs among them, in the order of the names.
    :ivar flags: see :mod:`cya.metadata.inode_flags`.
    :ivar extents: offset and length in bytes of what is not a hole; None: it has none.
    :ivar reason: why not all of it could be read; empty if it could.
    """

    attributes: tuple[tuple[bytes, bytes], ...] = ()
    flags: int = 0
    extents: tuple[tuple[int, int], ...] | None = None
    reason: str = ""


def look(directory: int, name: bytes, there: os.stat_result, fd: int = -1) -> Extra | None:
    """Look at one thing; None if it has nothing. A symbolic link is not followed.

    :param directory: descriptor of the directory that it lies in.
    :param there: what ``lstat`` said of it.
    :param fd: a directory's own descriptor, if it is open.
    """
    if fd >= 0:
        return _open(fd, there)
    kind = there.st_mode & 0o170000
    if kind != stat.S_IFREG and kind != stat.S_IFDIR:
        return _by_name(directory, name)
    try:
        fd = os.open(name, _FILE, dir_fd=directory)
    except OSError:
        # No permission, a lease, or another thing by now: what can be had by its name has to do.
        return _by_name(directory, name)
    try:
        found = _open(fd, there)
        return None if found is not None and not os.path.samestat(os.fstat(fd), there) else found
    finally:
        os.close(fd)


def _open(fd: int, there: os.stat_result) -> Extra | None:
    # Every file is looked at in every backup, and most have nothing: so nothing is called that need not be.
    why = ""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        names, why = _best_known(error)
    flags = 0 if there.st_dev in _without_flags else _flags(fd, there.st_dev)
    extents = None
    if there.st_blocks * 512 < there.st_size and stat.S_ISREG(there.st_mode):
        try:
            extents = sparse.extents(fd, there.st_size)
        except OSError:
            extents = None  # it is stored, and restored, without holes
    if not names:
        return Extra((), flags, extents, why) if flags or extents is not None or why else None
    attributes, reason = _values(names, lambda each: os.getxattr(fd, each))
    return Extra(attributes, flags, extents, why or reason)


def _by_name(directory: int, name: bytes) -> Extra | None:
    path = b"/proc/self/fd/%d/%b" % (directory, name)
    why = ""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        names, why = _best_known(error)
    if not names:
        return Extra(reason=why) if why else None
    attributes, reason = _values(names, lambda each: os.getxattr(path, each, follow_symlinks=False))
    return Extra(attributes, reason=why or reason)


def _best_known(error: OSError) -> tuple[list[str], str]:
    """Return names to try where there is no list of them, and what is to be said of that."""
    if error.errno in _NONE or error.errno in _GONE:
        return [], ""
    # More names than the kernel tells, say: at least who may do what is kept.
    known = [os.fsdecode(name) for name in (ACCESS, DEFAULT, CAPABILITY)]
    return known, f"extended attributes that cannot be listed: {error.strerror}"


def _values(names: list[str], get: Callable[[str], bytes]) -> tuple[tuple[tuple[bytes, bytes], ...], str]:
    found, failed = [], []
    for name in names:
        try:
            found.append((os.fsencode(name), get(name)))
        except OSError as error:
            if error.errno not in _GONE and error.errno not in _NONE:
                failed.append(f"{name}: {error.strerror}")
    return tuple(sorted(found)), f"extended attributes that cannot be read: {', '.join(failed)}" if failed else ""


_without_flags: set[int] = set()
"""Device numbers of file systems that have no flags: asking again would only take time."""


def _flags(fd: int, device: int) -> int:
    try:
        return inode_flags.get(fd) & inode_flags.KEPT
    except OSError as error:
        if error.errno in _NONE:
            _without_flags.add(device)
        return 0
