"""Inode flags: taken off before anything is replaced, and set when all else is done, since they may forbid it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import partial

from cya.engine.native.reading.outcome import shortened
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.way import Way
from cya.metadata import inode_flags

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FORBIDDING = inode_flags.of_letters(b"ia")

Flagged = Iterable[tuple[bytes, int]]
"""Keys and flags."""


def take_off(root: int, flagged: Flagged) -> dict[bytes, int]:
    """Take off what would forbid to change things that are to be replaced; a directory's before what is in it.

    :param root: descriptor of the destination.
    :return: keys of what had such flags, and all that it had.
    """
    taken: dict[bytes, int] = {}
    way = Way(root, replace=False)

    def one(fd: int, key: bytes) -> None:
        there = inode_flags.get(fd)
        if there & _FORBIDDING:
            inode_flags.change(fd, there & ~_FORBIDDING)
            taken[key] = there

    try:
        for key, flags in flagged:
            if flags & _FORBIDDING:
                with suppress(OSError):  # there is none yet, or it will be told that it cannot be replaced
                    _change(root, way, key, partial(one, key=key))
    finally:
        way.close()
    return taken


def set_flags(
    root: int,
    flagged: Flagged,
    kept: Collection[bytes],
    restored: Restored,
    taken: Mapping[bytes, int] | None = None,
) -> None:
    """Set flags.

    :param kept: keys of what was there before, and stays as it is.
    :param restored: is told which cannot be set.
    :param taken: what :func:`take_off` has taken: what could not be replaced gets it again.
    """
    way = Way(root, replace=False)
    try:
        for key, flags in flagged:
            if key in kept:
                continue
            if shortened(key) in restored.lost:
                if taken is not None and key in taken:
                    with suppress(OSError):  # it is told already that it is not as it was
                        _change(root, way, key, partial(inode_flags.change, wanted=taken[key]))
                continue
            try:
                _change(root, way, key, partial(inode_flags.change, wanted=flags))
            except OSError as error:
                word = inode_flags.letters(flags).decode()
                restored.add_unset({f"inode flags {word}: {_told(error)}": (1, key)})
    finally:
        way.close()


def _change(root: int, way: Way, key: bytes, change: Callable[[int], None]) -> None:
    above, _, name = key.rpartition(b"\0")
    directory = way.enter_old(above.split(b"\0")) if above else root
    fd = os.open(name or b".", _FILE, dir_fd=directory)
    try:
        change(fd)
    finally:
        os.close(fd)


def _told(error: OSError) -> str:
    if error.errno in (errno.ENOTTY, errno.ENOTSUP, errno.EOPNOTSUPP):
        return "the file system here does not have them"
    if error.errno in (errno.EPERM, errno.EACCES) and os.geteuid():
        return "only root can set them"
    return (error.strerror or str(error)).lower()
