"""What a client has put on what it uploaded: ACLs and extended attributes, none of which is kept; and encryption."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_USERS = "user."
"""What else an ordinary user can set. Labels of SELinux and the like are the system's own."""
_NONE = (errno.ENOTSUP, errno.ENOSYS, errno.ENODATA)


class TooMany(Exception):
    """The names of a file's attributes are so many that the system does not list them."""


def drop_acls(fd: int) -> None:
    """Remove a file's or a directory's ACLs, which would give access beside owner and mode."""
    for name in _ACLS:
        try:
            os.removexattr(fd, name)
        except OSError as error:
            if error.errno not in _NONE:
                raise


def drop_attributes(fd: int) -> None:
    """Remove a file's ACLs and user attributes.

    :raises TooMany: when its attributes cannot be listed; the ACLs are removed then.
    """
    drop_acls(fd)
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in (errno.E2BIG, errno.ERANGE):
            raise TooMany from None
        if error.errno in _NONE:
            return
        raise
    for name in names:
        if name.startswith(_USERS):
            os.removexattr(fd, name)


_GET_FLAGS = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
"""``FS_IOC_GETFLAGS`` of linux/fs.h, as most machines have it."""
_ENCRYPTED = 0x800


def is_encrypted(fd: int) -> bool:
    """Tell whether the file system keeps a file or a directory encrypted (fscrypt).

    Whoever owns an empty directory may have what is put there encrypted with a key of their own, and take that back
    later: then nobody can read, copy or link it any more.
    """
    try:
        flags = fcntl.ioctl(fd, _GET_FLAGS, bytes(struct.calcsize("l")))
    except OSError:  # a file system without such flags
        return False
    return bool(struct.unpack_from("=I", flags)[0] & _ENCRYPTED)
