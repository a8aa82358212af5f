"""How much room comes free when something is deleted: of a file only when all its names go."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress

from cya.archive.directories import opened
from cya.archive.root import Root
from cya.catalog import Catalog
from cya.tree import layout
from cya.tree.retention import Verdict

_BLOCK = 512
"""Bytes that ``st_blocks`` counts in."""


def freed(root: Root, going: Iterable[Verdict], catalog: Catalog) -> int:
    """Return the bytes on the disk that deleting would free. A loan, or what is served, keeps what it has links to.

    Blocks that copies share, as on btrfs and XFS, are counted for each.
    """
    names: Counter[tuple[int, int]] = Counter()
    found: dict[tuple[int, int], os.stat_result] = {}
    whole = {verdict.period for verdict in going if verdict.chain is None}
    for verdict in going:
        if any(verdict.period[:depth] in whole for depth in range(1, len(verdict.period))):
            continue  # it goes with what holds it
        for status in _files(root, verdict, catalog):
            inode = (status.st_dev, status.st_ino)
            names[inode] += 1
            found[inode] = status
    return sum(found[inode].st_blocks * _BLOCK for inode, count in names.items() if count == found[inode].st_nlink)


def _files(root: Root, verdict: Verdict, catalog: Catalog) -> Iterator[os.stat_result]:
    if verdict.chain is not None:
        sets = catalog[verdict.period].sets
        with suppress(FileNotFoundError), opened(layout.files_of(verdict.period), root.backups) as fd:
            for increment in verdict.chain.increments:
                for name in sets[increment].names:
                    with suppress(FileNotFoundError):
                        yield os.stat(name, dir_fd=fd, follow_symlinks=False)
        return
    for _, _, files, fd in os.fwalk(layout.directory(verdict.period), dir_fd=root.backups):
        for file in files:
            with suppress(FileNotFoundError):  # a dry run waits for nobody
                status = os.stat(file, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield status
