"""``outgoing/index.json``: the list of backups, for the client, where the root's settings say ``index = true``.

The tree is not read for it at each collect, but whenever something is committed, and when there is none yet.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime

from cya.archive.directories import exists, opened
from cya.archive.levels import levels_of
from cya.archive.outgoing import opened_outgoing
from cya.archive.root import Root
from cya.catalog import Backup
from cya.durable import write_file
from cya.transport import index
from cya.transport.index import Index, Listed
from cya.tree import layout
from cya.tree.levels import Calendar

_MODE = 0o444


def refresh(root: Root) -> None:
    """Publish the index where it is wanted and missing; remove it where it is not wanted any more."""
    if not root.config.index:
        _withdraw(root)
    elif not exists(f"{layout.OUTGOING}/{layout.INDEX}", root.top):
        publish(root)


def publish(root: Root) -> None:
    """Write the index of what is in the tree, if it is wanted."""
    if not root.config.index:
        return
    listed = tuple(_listed(backup, root.calendar) for backup in root.catalog().backups)
    with opened_outgoing(root) as outgoing:
        write_file(layout.INDEX, index.encode(Index(listed)), dir_fd=outgoing, mode=_MODE)


def _withdraw(root: Root) -> None:
    with suppress(FileNotFoundError), opened(layout.OUTGOING, root.top) as outgoing:
        for name in (layout.INDEX, f".{layout.INDEX}.tmp"):
            if exists(name, outgoing):
                os.unlink(name, dir_fd=outgoing)
                os.fsync(outgoing)


def _listed(backup: Backup, calendar: Calendar) -> Listed:
    return Listed(
        time=datetime.fromtimestamp(backup.increment.end, UTC),
        kind="full" if backup.increment.is_full else "inc",
        levels=tuple(levels_of(backup, calendar)),
        chain_length=len(backup.chain) if backup.chain else None,
    )
