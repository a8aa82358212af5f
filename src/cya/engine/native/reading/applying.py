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

_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_CAPABILITY = b"security.capability"
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
        *,
        shut: bool,
    ) -> None:
        """Take note of what there is.

        :param root: descriptor of the destination.
        :param instead: keys in the backup of what has another place than its own, and the keys of those.
        :param kept: keys of what was there before, and stays as it is.
        :param restored: is told what is not as it was.
        :param shut: nobody else has been able to enter the destination, nor is now.
        """
        self._root, self._extras, self._instead, self._kept, self._restored = root, extras, instead, kept, restored
        self._way = Way(root, replace=False)
        self._dressing = Dressing(Owners(numeric=True))
        self._shut = shut or os.geteuid() != 0
        self._times: dict[bytes, tuple[int, int]] = {}
        self._modes: dict[bytes, int] = {}

    def remember(self, sets: Iterable[Sequence[bytes]], sockets: Iterable[Socket]) -> None:
        """Take note of the times of directories in which names will be made, and permit ourselves to do that."""
        keys = [name for names in sets for name in names[1:]] + [each.key for each in sockets]
        for key in sorted({b""}.union(*map(_above, keys))):
            with suppress(OSError):
                self._permit(key)
                there = os.fstat(self._entered(key))
                self._times[key] = there.st_atime_ns, there.st_mtime_ns

    def apply(self) -> None:
        """Apply everything."""
        for key, times in self._times.items():
            with suppress(OSError):
                os.utime(self._entered(key), ns=times)
        for key, item in self._extras.items():
            self._one(self._instead.get(key, key), item, directories=False)
        for key, item in self._extras.backwards():
            self._one(self._instead.get(key, key), item, directories=True)
        self._restored.add_unset(self._dressing.unset)

    def close(self) -> None:
        """Give directories the modes that they had; close all."""
        for key, mode in sorted(self._modes.items(), reverse=True):
            with suppress(OSError):
                os.fchmod(self._entered(key), mode)
        self._way.close()

    def _permit(self, key: bytes) -> None:
        """Let an ordinary user change a directory of his own."""
        above, _, name = key.rpartition(b"\0")
        directory = self._entered(above) if key else self._root
        there = os.stat(name or b".", dir_fd=directory, follow_symlinks=False)
        if _forbids(there, stat.S_IRWXU) and stat.S_ISDIR(there.st_mode):
            _chmod(name or b".", directory, stat.S_IMODE(there.st_mode) | stat.S_IRWXU)
            self._modes[key] = stat.S_IMODE(there.st_mode)

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
                self._opened_one(key, name or b".", directory, there, item)
            else:
                self._dressing.attach(b"/proc/self/fd/%d/%b" % (directory, name), key, item)
                os.utime(name, ns=_times(there, item), dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            self._restored.lost.setdefault(shortened(key), told(error))

    def _opened_one(self, key: bytes, name: bytes, directory: int, there: os.stat_result, item: Item) -> None:
        is_directory = stat.S_ISDIR(there.st_mode)
        needed = stat.S_IRWXU if is_directory else stat.S_IRUSR | stat.S_IWUSR
        forbids = _forbids(there, needed)
        if forbids:
            _chmod(name, directory, stat.S_IMODE(there.st_mode) | needed)
        try:
            how = os.O_RDWR if item.extents is not None else os.O_RDONLY  # a program that runs cannot be written to
            fd = os.open(name, _DIRECTORY if is_directory else how | _FILE, dir_fd=directory)
        except BaseException:
            if forbids:
                _chmod(name, directory, stat.S_IMODE(there.st_mode))
            raise
        try:
            self._dressing.holes(fd, key, item)
            self._dressing.attach(fd, key, self._without_danger(fd, key, item))
            os.utime(fd, ns=_times(there, item))
        finally:
            if forbids:
                os.fchmod(fd, stat.S_IMODE(there.st_mode))
            os.close(fd)

    def _without_danger(self, fd: int, key: bytes, item: Item) -> Item:
        """Leave capabilities out where somebody else may have put a program of his own in the file's place."""
        if self._shut or all(name != _CAPABILITY for name, _ in item.attributes):
            return item
        if _is_roots(fd) and all(_is_roots(self._entered(above)) for above in _above(key)):
            return item
        why = "somebody else than root can change the file or a directory above it; restore to an empty directory"
        self._restored.add_unset({f"extended attributes {os.fsdecode(_CAPABILITY)}: {why}": (1, key)})
        return item._replace(attributes=tuple(each for each in item.attributes if each[0] != _CAPABILITY))

    def _entered(self, key: bytes) -> int:
        return self._way.enter_old(key.split(b"\0")) if key else self._root


def _above(key: bytes) -> list[bytes]:
    """Return the keys of all directories above a path, the destination's first."""
    names = key.split(b"\0")
    return [b"\0".join(names[:number]) for number in range(len(names))]


def _is_roots(fd: int) -> bool:
    there = os.fstat(fd)
    return there.st_uid == 0 and not there.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _forbids(there: os.stat_result, needed: int) -> bool:
    """Whether the mode of something forbids its owner, who could change it, what is needed."""
    return os.geteuid() != 0 and there.st_uid == os.geteuid() and there.st_mode & needed != needed


def _chmod(name: bytes, directory: int, mode: int) -> None:
    """Set a mode; a symbolic link is not followed."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            os.chmod(b"/proc/self/fd/%d" % fd, mode)
    finally:
        os.close(fd)


def _times(there: os.stat_result, item: Item) -> tuple[int, int]:
    return time.time_ns(), item.mtime_ns if item.mtime_ns is not None else there.st_mtime_ns
