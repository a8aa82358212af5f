"""Reads committed files and compares them with the ledger. Nothing is held in memory but one buffer.

A check reads the whole archive, which is far more than the memory: if its pages stayed in the cache they would push
out everything that the machine's other work needs. So each piece is given back (DONTNEED) as soon as it is hashed.
That also makes a second reading come from the disk and not from memory.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cya.archive.check.complete import expected_names
from cya.archive.check.tree import Held, Inode, Look
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.levels import Period

PIECE = 1 << 20
"""Bytes that are read at once."""

GIVE_BACK = 16 << 20
"""Bytes after which the page cache is told that they are not needed any more."""


@dataclass(frozen=True)
class Item:
    """One file to be read under one name; the periods are where this name leads to this inode."""

    increment: Increment
    name: bytes
    inode: Inode
    periods: tuple[Period, ...]


@dataclass
class Reading:
    """What has been read in this run.

    :ivar digests: of each file that was read, and of what earlier runs read of increments that they did not finish.
    :ivar failures: files that the disk could not read, with the reason.
    """

    digests: dict[Inode, str] = field(default_factory=dict)
    failures: dict[Inode, str] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0


def items(increment: Increment, files: Held, look: Look) -> list[Item]:
    """Return the files of an increment that can be read, by name and inode, however many directories hold them."""
    expected = expected_names(look, increment, files)
    if expected is None or isinstance(look.ledger.get(increment), str):
        return []
    found: list[Item] = []
    for name in sorted(expected & files.names.keys()):
        periods: dict[Inode, list[Period]] = {}
        for period, entry in files.names[name].items():
            if stat.S_ISREG(entry.mode) and entry.size:
                periods.setdefault(entry.inode, []).append(period)
        found += [Item(increment, name, inode, tuple(places)) for inode, places in periods.items()]
    return found


def read(wanted: Iterable[Item], backups: int, ledger: Mapping[Increment, Mapping[bytes, str] | str], done: Reading,
         enough: Callable[[], bool]) -> bool:  # fmt: skip
    """Read files until it is enough; return whether all were read. At least one is read, or no run would get anywhere.

    A file that is not what the ledger says is read twice: the disk or the memory may have failed for a moment.

    :param backups: descriptor of ``backups/``.
    """
    for item in wanted:
        if item.inode in done.digests or item.inode in done.failures:
            continue
        if done.files and enough():
            return False
        entry = ledger.get(item.increment)
        expected = entry.get(item.name) if isinstance(entry, Mapping) else None
        for _ in range(2):
            digest = _digest(item, backups, done)
            if digest is None or expected in (None, digest):
                break
        if digest is not None:
            done.digests[item.inode] = digest
    return True


def _digest(item: Item, backups: int, done: Reading) -> str | None:
    """Return a file's SHA-256; None when it is gone, has been replaced, or cannot be read (which is written down)."""
    for period in item.periods:
        try:
            fd = _open(f"{layout.files_of(period)}/".encode() + item.name, backups)
        except FileNotFoundError:
            continue  # deleted by hand meanwhile; it may still be elsewhere
        try:
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) != item.inode:
                continue
            digest = _hash(fd, done)
            done.files += 1
            after = os.fstat(fd)
            unchanged = (found.st_mtime_ns, found.st_size) == (after.st_mtime_ns, after.st_size)
            done.failures.pop(item.inode, None)
            return digest if unchanged else None
        except OSError as error:
            done.files += 1
            done.failures[item.inode] = f"cannot be read: {error.strerror or error}"
        finally:
            os.close(fd)
    return None


def _open(path: bytes, backups: int) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME, dir_fd=backups)
    except PermissionError:  # only the owner may leave the time of access as it is
        return os.open(path, flags, dir_fd=backups)


def _hash(fd: int, done: Reading) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(PIECE))
    position = given_back = 0
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    try:
        while count := os.readv(fd, [buffer]):
            digest.update(buffer[:count])
            position += count
            if position - given_back >= GIVE_BACK:
                os.posix_fadvise(fd, given_back, position - given_back, os.POSIX_FADV_DONTNEED)
                given_back = position
    finally:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        done.bytes += position
    return digest.hexdigest()
