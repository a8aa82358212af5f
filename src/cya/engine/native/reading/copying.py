"""A copy of a file, where it cannot have another name: on another mount, or where a file has too many already."""

from __future__ import annotations

import errno
import os
import shutil
import stat

from cya.metadata import sparse
from cya.metadata.attach import attach

NO_LINKS = frozenset((errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP))
"""What systems say where a file cannot have another name."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_of(source: bytes, directory: int, name: bytes, parent: int) -> None:
    """Copy a regular file or a symbolic link, with its owner, times, mode and attributes.

    :raises OSError: when it cannot be copied, or is something else.
    """
    there = os.stat(source, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISLNK(there.st_mode):
        os.symlink(os.readlink(source, dir_fd=directory), name, dir_fd=parent)
        if os.geteuid() == 0:
            os.chown(name, there.st_uid, there.st_gid, dir_fd=parent, follow_symlinks=False)
        os.utime(name, ns=(there.st_atime_ns, there.st_mtime_ns), dir_fd=parent, follow_symlinks=False)
        return
    if not stat.S_ISREG(there.st_mode):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    with (
        open(os.open(source, _READ, dir_fd=directory), "rb") as file,
        open(os.open(name, _NEW, 0o600, dir_fd=parent), "r+b") as copy,
    ):
        shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        fd = copy.fileno()
        extents = sparse.extents(file.fileno(), there.st_size)
        if extents is not None:
            sparse.recreate(fd, there.st_size, extents)
        if os.geteuid() == 0:
            os.fchown(fd, there.st_uid, there.st_gid)
        names = [os.fsencode(each) for each in os.listxattr(file.fileno())]
        list(attach(fd, [(each, os.getxattr(file.fileno(), each)) for each in names]))
        os.utime(fd, ns=(there.st_atime_ns, there.st_mtime_ns))
        os.fchmod(fd, stat.S_IMODE(there.st_mode))
