"""Gives what another program has restored the attributes that ``.dupext`` tells of: files first, then directories."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from cya.engine.native.reading.dressing import Dressing
from cya.engine.native.reading.extras import Extras, Item
from cya.engine.native.reading.outcome import shortened
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.side import Socket
from cya.engine.native.reading.trouble import told
from cya.engine.native.reading.way import Way

_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Applying:
    """Works below the destination."""

    def __init__(
        self,
        root: int,
        extras: Extras,
        instead: Mapping[bytes, bytes],
        kept: Collection[bytes],
        restored: Restored,
    ) -> None:
        """Take note of what there is.

        :param root: descriptor of the destination.
        :param instead: keys in the backup of what has another place than its own, and the keys of those.
        :param kept: keys of what was there before, and stays as it is.
        :param restored: is told what is not as it was.
        """
        self._root, self._extras, self._instead, self._kept, self._restored = root, extras, instead, kept, restored
        self._way = Way(root, replace=False)
        self._dressing = Dressing(Owners(numeric=True))
        self._times: dict[bytes, tuple[int, int]] = {}

    def remember(self, sets: Iterable[Sequence[bytes]], sockets: Iterable[Socket]) -> None:
        """Take note of the times of directories in which names will be made."""
        keys = [name for names in sets for name in names[1:]] + [each.key for each in sockets]
        for above in {b""} | {key.rpartition(b"\0")[0] for key in keys}:
            with suppress(OSError):
                there = os.fstat(self._entered(above))
                self._times[above] = there.st_atime_ns, there.st_mtime_ns

    def apply(self) -> None:
        """Apply everything."""
        try:
            for key, times in self._times.items():
                with suppress(OSError):
                    os.utime(self._entered(key), ns=times)
            for key, item in self._extras.items():
                self._one(self._instead.get(key, key), item, directories=False)
            for key, item in self._extras.backwards():
                self._one(self._instead.get(key, key), item, directories=True)
        finally:
            self._way.close()
        self._restored.add_unset(self._dressing.unset)

    def _one(self, key: bytes, item: Item, *, directories: bool) -> None:
        if key in self._kept or shortened(key) in self._restored.lost:
            return
        above, _, name = key.rpartition(b"\0")
        try:
            directory = self._entered(above)
            there = os.stat(name or b".", dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(there.st_mode) is not directories:
                return
            if directories or stat.S_ISREG(there.st_mode):
                fd = os.open(name or b".", _DIRECTORY if directories else _FILE, dir_fd=directory)
                try:
                    self._dressing.holes(fd, key, item)
                    self._dressing.attach(fd, key, item)
                    os.utime(fd, ns=_times(there, item))
                finally:
                    os.close(fd)
            else:
                self._dressing.attach(b"/proc/self/fd/%d/%b" % (directory, name), key, item)
                os.utime(name, ns=_times(there, item), dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            self._restored.lost.setdefault(shortened(key), told(error))

    def _entered(self, key: bytes) -> int:
        return self._way.enter_old(key.split(b"\0")) if key else self._root


def _times(there: os.stat_result, item: Item) -> tuple[int, int]:
    return time.time_ns(), item.mtime_ns if item.mtime_ns is not None else there.st_mtime_ns
