"""ACLs and extended attributes that a client has put on what it uploaded: none is kept."""

from __future__ import annotations

import errno
import os

_OF_CLIENTS = ("user.", "system.posix_acl_")
"""What an ordinary user can set. Labels of SELinux and the like are the system's own."""


def drop_attributes(fd: int) -> None:
    """Remove a file's or a directory's ACLs and user attributes. An ACL would give access beside owner and mode."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return
        raise
    for name in names:
        if name.startswith(_OF_CLIENTS):
            os.removexattr(fd, name)
