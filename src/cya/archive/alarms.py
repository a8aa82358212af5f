"""What is unusual about a batch, and no reason to refuse it: encrypted garbage cannot be told from a backup."""

from __future__ import annotations

from statistics import median

from cya.archive import log
from cya.archive.inspect import Batch
from cya.archive.root import Root
from cya.clock import local
from cya.tree.placement import Serving

_PERIOD = 90 * 86400
"""How far back is looked for what is usual, in seconds."""
_FEWEST = 5
"""With fewer backups than that nobody knows what is usual."""
_FAR, _BEYOND, _LEAST = 10, 2, 1 << 20
"""Far outside: 10 times the median, twice the largest (or the parts of the smallest), and not by a trifle."""


def alarms(root: Root, batch: Batch, serving: Serving, now: int) -> list[str]:
    """Return what an administrator should look at."""
    if not batch.increment.is_full:
        odd = _odd_size(batch.size, log.sizes(root, now - _PERIOD))
        return [f"the backup of {local(batch.increment.end)} {odd}"] if odd else []
    if serving.chain is None:
        return []
    return [
        f"a full backup of {local(batch.increment.end)} where an increment was served: has the client lost its cache, "
        "or did somebody ask for it (cya backup --full)?"
    ]


def _odd_size(size: int, before: list[int]) -> str | None:
    if len(before) < _FEWEST:
        return None
    usual = median(before)
    if abs(size - usual) < _LEAST:
        return None
    if size > _FAR * usual and size > _BEYOND * max(before):
        meaning = "has almost everything changed there, as by encryption?"
    elif size * _FAR < usual and size * _BEYOND < min(before):
        meaning = "is something missing there, as a file system that was not mounted?"
    else:
        return None
    return f"has {size} bytes, where {int(usual)} are usual for this client: {meaning}"
