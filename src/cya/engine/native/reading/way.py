"""Opens directories below the destination, each by its name in the one above it: a symbolic link is never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNDRESSED = stat.S_ISVTX | stat.S_IRWXU
"""Mode of a directory that has not got its own yet; by it the next restore knows what a killed one has left."""
_MOST_OPEN = 64
"""Directories. What lies deeper is reached from the top again whenever it is needed."""


class Way:
    """The directories from the destination to the one that was asked for last; they stay open for the next one.

    :ivar made: is told the keys of directories that were made, by this restore or by one that was killed.
    """

    def __init__(self, root: int, *, replace: bool) -> None:
        """Open nothing yet.

        :param root: descriptor of the destination.
        :param replace: what is in the way and no directory is removed.
        """
        self._root, self._replace = root, replace
        self._open: list[tuple[bytes, int]] = []
        self.made: Callable[[bytes], object] = lambda key: None

    def enter(self, names: list[bytes]) -> int:
        """Return the descriptor of a directory, which is made, with those above it, where it is missing.

        :raises OSError: when something else is in the way, or it cannot be made.
        """
        here = self._common(names)
        for number in range(len(self._open), len(names)):
            name = names[number]
            try:
                here = os.open(name, _DIRECTORY, dir_fd=here)
            except FileNotFoundError:
                here = self._new(here, name)
            except NotADirectoryError:
                if not self._replace:
                    raise
                os.unlink(name, dir_fd=here)
                here = self._new(here, name)
            self._push(name, here)
            if os.fstat(here).st_mode & (stat.S_ISVTX | 0o777) == _UNDRESSED:
                self.made(b"\0".join(names[: number + 1]))
        return here

    def enter_old(self, names: list[bytes]) -> int:
        """Return the descriptor of a directory that is there.

        :raises OSError: when it is not.
        """
        here = self._common(names)
        for name in names[len(self._open) :]:
            here = os.open(name, _DIRECTORY, dir_fd=here)
            self._push(name, here)
        return here

    def deepest(self, names: list[bytes]) -> int:
        """Return the descriptor of the last directory on the way to one that is there."""
        with suppress(OSError):
            return self.enter_old(names)
        return self._open[-1][1] if self._open else self._root

    def close(self) -> None:
        """Close all."""
        self._leave(0)

    def _new(self, parent: int, name: bytes) -> int:
        with suppress(FileExistsError):
            os.mkdir(name, _UNDRESSED, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)

    def _common(self, names: list[bytes]) -> int:
        """Leave directories that are not on a way; return the last one that is."""
        common = 0
        for (name, _), wanted in zip(self._open, names, strict=False):
            if name != wanted:
                break
            common += 1
        self._leave(common)
        if common and self._open[-1][1] < 0:
            self._leave(0)
        return self._open[-1][1] if self._open else self._root

    def _push(self, name: bytes, fd: int) -> None:
        self._open.append((name, fd))
        old = len(self._open) - 1 - _MOST_OPEN
        if old >= 0 and self._open[old][1] >= 0:
            os.close(self._open[old][1])
            self._open[old] = (self._open[old][0], -1)

    def _leave(self, depth: int) -> None:
        while len(self._open) > depth:
            _, fd = self._open.pop()
            if fd >= 0:
                os.close(fd)
