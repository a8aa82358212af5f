"""``state/damage.json``: the files that a check found damaged, so that no backup is made on top of them.

A record says which name of which increment is bad: wherever this name is missing, or is one of the inodes written
down, the increment is not whole. So a directory that a damaged file is linked into later is known, too, and one that
gets a good file is sound again at once. Each check writes it anew; without damage there is no such file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import msgspec

from cya.archive.root import Root
from cya.catalog import Catalog, Directory
from cya.durable import write_file
from cya.errors import ArchiveError
from cya.tree import layout
from cya.tree.chain import Increment

DAMAGE = "damage.json"


class Bad(msgspec.Struct, frozen=True):
    """One name. ``directories`` are those where it was found damaged or missing: for people.

    :ivar start, end: times of the increment, in seconds since the epoch.
    :ivar inodes: of damaged files of this name, inode number and mtime in nanoseconds: the number alone is given to
        the next file that is made, as to the good one that is put back. The device is another one after the next mount.
    :ivar reason: what is wrong with them.
    """

    start: int | None
    end: int
    name: str
    inodes: tuple[tuple[int, int], ...]
    directories: tuple[str, ...]
    reason: str

    @property
    def increment(self) -> Increment:
        """The increment that the file belongs to."""
        return Increment(self.start, self.end)


def find(root: Root) -> tuple[Bad, ...]:
    """Read the record; empty when there is none.

    :raises ArchiveError: when it is malformed; only an administrator can have done that.
    """
    try:
        with open(os.open(DAMAGE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.state), "rb") as file:
            return msgspec.json.decode(file.read(), type=tuple[Bad, ...])
    except FileNotFoundError:
        return ()
    except msgspec.MsgspecError as error:
        where = f"{root.path}/{layout.STATE}/{DAMAGE}"
        raise ArchiveError(f"{where}: malformed: {error}; remove it and run cya check {root.path}") from error


def save(root: Root, bad: Iterable[Bad]) -> None:
    """Write the record durably, or remove it when nothing is damaged (any more)."""
    record = sorted(bad, key=lambda b: (b.end, b.start or 0, b.name))
    if record == list(find(root)):
        return
    if record:
        write_file(DAMAGE, msgspec.json.format(msgspec.json.encode(record)) + b"\n", dir_fd=root.state)
        return
    with suppress(FileNotFoundError):
        os.unlink(DAMAGE, dir_fd=root.state)
    os.fsync(root.state)


def sound(root: Root, catalog: Catalog) -> Catalog:
    """Return the catalog with each increment that is known to be damaged as one that lacks its manifest: not whole."""
    bad = find(root)
    if not bad:
        return catalog
    return replace(catalog, directories=tuple(_sound(directory, bad) for directory in catalog.directories))


def _sound(directory: Directory, bad: tuple[Bad, ...]) -> Directory:
    sets = dict(directory.sets)
    for each in bad:
        if each.increment in sets and is_bad(directory, each):
            sets[each.increment] = replace(sets[each.increment], manifest=None)
    return replace(directory, sets=sets)


def is_bad(directory: Directory, bad: Bad) -> bool:
    """Tell whether a directory lacks a file, or has it as it was found damaged."""
    try:
        found = (directory.path / bad.name).lstat()
    except FileNotFoundError:
        return True
    return (found.st_ino, found.st_mtime_ns) in bad.inodes
