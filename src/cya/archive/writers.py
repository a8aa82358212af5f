"""Is any process left that can write into a file? A read lease is granted only when there is none.

``F_SETLEASE F_RDLCK`` counts open descriptors and mappings alike. Taken after the file has become the archive's own
and unwritable, it proves that nobody can change it any more: who has it open would be seen, nobody else can open it.
"""

from __future__ import annotations

from cya.durable import has_writer


class StillOpen(Exception):
    """Some process has the file open for writing, or holds a lease on it."""


class NoLeases(Exception):
    """The file system knows no leases, so writers cannot be told."""


def check_no_writer(fd: int) -> None:
    """Check that no process has a file open for writing.

    :param fd: the file, open for reading; it belongs to this process's user, or this process is root.
    :raises StillOpen: when one has.
    :raises NoLeases: when the file system cannot tell (NFS, for one).
    """
    try:
        is_open = has_writer(fd)
    except OSError as error:
        raise NoLeases from error
    if is_open:
        raise StillOpen
