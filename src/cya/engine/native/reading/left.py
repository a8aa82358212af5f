"""Removes what a killed restore left beside the places of files on other mounts than the destination's.

There a file cannot be made in the working directory, so until it is whole it lies in its own one, under a name that has
the working directory's in it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

PREFIX = b".cya-restore-"
_NAME = re.compile(rb"(\.cya-restore-(\w{8}))(?:-\d+)?-new")


def name_of(own: bytes) -> bytes:
    """Return the name under which a process makes a file beside its place.

    :param own: last part of the working directory's name, and the process's number if there are several.
    """
    return PREFIX + own + b"-new"


def remove_left(parent: int, root: int, own: bytes) -> None:
    """Remove from a directory what restores left of which there is no working directory any more.

    :param parent, root: descriptors of the directory and of the destination.
    :param own: as for :func:`name_of`; what this restore makes stays.
    """
    for name in map(os.fsencode, os.listdir(parent)):
        found = _NAME.fullmatch(name)
        if found is None or found[2] == own[:8]:
            continue
        try:
            os.stat(found[1], dir_fd=root, follow_symlinks=False)
        except FileNotFoundError:
            with suppress(OSError):
                os.unlink(name, dir_fd=parent)
