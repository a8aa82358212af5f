"""Gives a file the attributes that it had."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from cya.metadata.look import ACCESS, DEFAULT

ACLS = frozenset((ACCESS, DEFAULT))
"""Names of the attributes that hold ACLs."""
_ONLY_ROOT = (b"trusted.", b"security.")


def attach(place: int | bytes, attributes: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, OSError]]:
    """Set attributes; yield the names of those that could not be set, and why.

    :param place: a descriptor, or a path, of which a symbolic link at the end is not followed.
    """
    for name, value in attributes:
        try:
            if isinstance(place, int):
                os.setxattr(place, name, value)
            else:
                os.setxattr(place, name, value, follow_symlinks=False)
        except OSError as error:
            yield name, error


def told(name: bytes, error: OSError) -> str:
    """Return what is said of attributes that could not be set: the same for many files."""
    what = "ACLs" if name in ACLS else f"extended attributes {_family(name)}"
    if error.errno in (errno.EPERM, errno.EACCES) and os.geteuid() and (name.startswith(_ONLY_ROOT) or name in ACLS):
        return f"{what}: only root can set them"
    if error.errno in (errno.ENOTSUP, errno.EOPNOTSUPP):
        return f"{what}: the file system here has none of this kind"
    if error.errno in (errno.ENOSPC, errno.E2BIG, errno.ERANGE):
        return f"{what}: too large for the file system here"
    return f"{what}: {(error.strerror or str(error)).lower()}"


def _family(name: bytes) -> str:
    """Return the name of one that is known, or else of all that begin alike: their names may be without number."""
    if name.startswith(_ONLY_ROOT[1]):
        return os.fsdecode(name)
    return os.fsdecode(name.partition(b".")[0]) + ".*"
