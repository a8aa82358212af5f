"""Which names are the same file, and under which of them the archive has it.

A file is stored under one of its names only. It stays the name that the chain has it under already, as long as that is
there: whatever names are added or removed, nothing is stored again.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from cya.metadata import hard_links
from cya.metadata.former import Former

STORED, KNOWN, NEW = range(3)
"""Whether the chain has this file under this name, has something under it, or has nothing."""


class Linked(Protocol):
    """Status of a file, as far as it matters here."""

    @property
    def st_mode(self) -> int:
        """Type and permissions."""

    @property
    def st_dev(self) -> int:
        """Its device: two file systems may have the same inode number."""

    @property
    def st_ino(self) -> int:
        """Its inode."""

    @property
    def st_ctime_ns(self) -> int:
        """When its inode was changed: an inode may be given to another file while the walk goes on."""

    @property
    def st_nlink(self) -> int:
        """Number of its names, wherever they are."""


@dataclass(slots=True)
class _Set:
    """One file: the number of its names, the best of them to store it under, and all that were met."""

    count: int
    best: tuple[int, bytes]
    names: list[bytes]


def is_linked(status: Linked) -> bool:
    """Whether something may have other names."""
    return status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)


class LinkSets:
    """The files with several names."""

    def __init__(self) -> None:
        self._sets: dict[tuple[int, int, int], _Set] = {}

    def add(self, key: bytes, status: Linked, how: int) -> None:
        """Take note of a name; keys ascend.

        :param how: STORED, KNOWN or NEW.
        """
        where = status.st_ino, status.st_dev, status.st_ctime_ns
        found = self._sets.get(where)
        if found is None:
            self._sets[where] = _Set(status.st_nlink, (how, key), [key])
            return
        found.best = min(found.best, (how, key))
        found.names.append(key)

    def keep(self, former: Former, is_kept: Callable[[bytes], bool]) -> Iterator[bytes]:
        """Take over names that could not be looked at; yield those of files that are stored no more.

        :param is_kept: whether a key is one of those.
        """
        found_in = {name: found for found in self._sets.values() for name in found.names}
        for inode, count, (first, *others) in former.link_sets():
            names = [name for name in others if is_kept(name)]
            if not names:
                continue
            if first in found_in:
                found_in[first].names += names
            elif is_kept(first):
                self._sets[inode, -1, -len(self._sets)] = _Set(count, (STORED, first), [first, *names])
            else:
                yield from names

    def is_stored(self, key: bytes, status: Linked) -> bool:
        """Whether this is the name under which the file is stored."""
        found = self._sets.get((status.st_ino, status.st_dev, status.st_ctime_ns))
        return found is None or found.best[1] == key

    def others(self, key: bytes, status: Linked) -> tuple[bytes, ...]:
        """Return the other names of a file."""
        found = self._sets.get((status.st_ino, status.st_dev, status.st_ctime_ns))
        return tuple(name for name in found.names if name != key) if found is not None else ()

    def records(self) -> Iterator[bytes]:
        """Yield the records of ``hardlinks.txtz``, by the names under which files are stored."""
        several = [(found.best[1], where) for where, found in self._sets.items() if len(found.names) > 1]
        used: dict[int, int] = {}
        for first, where in sorted(several):
            inode = where[0]
            number = used[inode] = used.get(inode, -1) + 1
            word = b"%d.%d" % (inode, number) if number else b"%d" % inode
            found = self._sets[where]
            for key in (first, *(key for key in found.names if key != first)):
                yield hard_links.record(word, found.count, key)
