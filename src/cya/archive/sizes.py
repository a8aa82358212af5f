"""How much room the directories of a tree take: all that is in one, and what nothing outside of it holds."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cya.catalog import Directory
from cya.tree.levels import Period, upwards


@dataclass(frozen=True)
class Sizes:
    """Sizes in bytes; each file counts once, however many names it has.

    :ivar total: of everything.
    :ivar all: by period, of the files in its ``files/``.
    :ivar own: by period, of the files that have no name outside of its directory, periods within it included: what
        would come free if it were deleted. A loan, or what is served, is a name outside.
    :ivar shared: by period, of the files in its ``files/`` that have such names.
    """

    total: int
    all: dict[Period, int]
    own: dict[Period, int]
    shared: dict[Period, int]


def sizes(directories: Iterable[Directory]) -> Sizes:
    """Measure directories; what vanishes meanwhile has no size."""
    there: dict[tuple[int, int], tuple[int, int]] = {}
    names: dict[tuple[int, int], Counter[Period]] = {}
    held: dict[Period, set[tuple[int, int]]] = {}
    for directory in directories:
        above = tuple(upwards(directory.period))
        held[directory.period] = set()
        for inode, found in _files(directory):
            there[inode] = found
            held[directory.period].add(inode)
            names.setdefault(inode, Counter()).update(above)
    inside = {period: sum(there[inode][0] for inode in inodes) for period, inodes in held.items()}
    own: Counter[Period] = Counter(dict.fromkeys(inside, 0))
    for inode, (size, links) in there.items():
        for period, number in names[inode].items():
            if number == links:
                own[period] += size
    shared = {period: sum(there[i][0] for i in held[period] if names[i][period] < there[i][1]) for period in inside}
    return Sizes(sum(size for size, _ in there.values()), inside, dict(own), shared)


def _files(directory: Directory) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the inode of each file, and its size and number of names."""
    try:
        entries = os.scandir(directory.path)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield (found.st_dev, found.st_ino), (found.st_size, found.st_nlink)
