"""What is unusual about a batch, and no reason to refuse it: encrypted garbage cannot be told from a backup."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from cya.archive.inspect import Batch
from cya.catalog import Catalog, Directory
from cya.clock import local
from cya.tree.placement import Serving

_FEWEST = 5
"""With fewer backups than that nobody knows what is usual."""
_FAR, _BEYOND, _LEAST = 10, 2, 1 << 20
"""Far outside: 10 times the median, twice the largest (or the parts of the smallest), and not by a trifle."""


def alarms(batch: Batch, serving: Serving, catalog: Catalog) -> list[str]:
    """Return what an administrator should look at.

    :param catalog: the served leaf and the periods above it, without the batch.
    """
    found = []
    if batch.increment.is_full and serving.chain is not None:
        found.append(
            f"a full backup of {local(batch.increment.end)} where an increment was served: has the client lost its "
            "cache, or did somebody ask for it (cya backup --full)?"
        )
    if not batch.increment.is_full and (odd := _size(batch, catalog)):
        found.append(odd)
    return found


def _size(batch: Batch, catalog: Catalog) -> str | None:
    before = {
        increment: _bytes(directory, directory.sets[increment].names)
        for directory in catalog.directories
        for increment in directory.sets
        if not increment.is_full
    }
    if len(before) < _FEWEST:
        return None
    usual, size = median(before.values()), batch.size
    if abs(size - usual) < _LEAST:
        return None
    if size > _FAR * usual and size > _BEYOND * max(before.values()):
        meaning = "has almost everything changed there, as by encryption?"
    elif size * _FAR < usual and size * _BEYOND < min(before.values()):
        meaning = "is something missing there, as a file system that was not mounted?"
    else:
        return None
    return (
        f"the backup of {local(batch.increment.end)} has {size} bytes, where {int(usual)} are usual for this client: "
        f"{meaning}"
    )


def _bytes(directory: Directory, names: Iterable[bytes]) -> int:
    total = 0
    for name in names:
        try:
            total += (directory.path / name.decode()).lstat().st_size
        except FileNotFoundError:  # an administrator has just deleted it
            continue
    return total
