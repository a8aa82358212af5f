"""``outgoing/``: what a client may read. It is the archive's own: nobody else makes, moves or removes a name there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from cya.archive.directories import exists, make, opened
from cya.archive.root import DIRECTORY_MODES, Root
from cya.transport import loan
from cya.tree import layout

_MODE = DIRECTORY_MODES[layout.OUTGOING]


@contextmanager
def opened_outgoing(root: Root) -> Iterator[int]:
    """Open ``outgoing/`` for the block; it is made where it is missing, and owner and mode are put right."""
    if not exists(layout.OUTGOING, root.top):
        make(layout.OUTGOING, root.top, _MODE)
    with opened(layout.OUTGOING, root.top) as fd:
        found = os.fstat(fd)
        if os.geteuid() == 0 and (found.st_uid, found.st_gid) != (0, 0):
            os.fchown(fd, 0, 0)
        if stat.S_IMODE(found.st_mode) != _MODE:
            os.fchmod(fd, _MODE)
        yield fd


def lent_there(root: Root) -> set[str]:
    """Return the names of loans in ``outgoing/``. What an administrator has put there is none, and is left alone."""
    try:
        with opened(layout.OUTGOING, root.top) as fd:
            return set(filter(loan.is_loan, os.listdir(fd)))
    except FileNotFoundError:
        return set()
