"""Which backups there are on another host, as far as that lets its client know.

With an index it tells all of them. Else there is the chain that it serves, for the next backup to continue, and what
it lends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from cya.client import lent
from cya.client.lent import Lending
from cya.client.places import private_cache, remote_account, remote_next
from cya.config.client import ClientConfig
from cya.errors import NothingToDo
from cya.format.collection import collect
from cya.transport.served import served
from cya.tree.chain import Increment


@dataclass(frozen=True)
class Known:
    """A backup.

    :ivar end: in seconds since the epoch.
    :ivar levels: those that hold it, the finest first; empty where that is not told.
    :ivar chain_length: of how many increments it is restored; None where that is not told, or it cannot be restored.
    :ivar damaged: something of it is missing, says the index.
    :ivar lent_until: until then it can be restored from here; None: it cannot.
    """

    end: int
    full: bool
    levels: tuple[str, ...] = ()
    chain_length: int | None = None
    damaged: bool = False
    lent_until: datetime | None = None


@dataclass(frozen=True)
class RemoteList:
    """Backups, oldest first. ``complete``: these are all that there are."""

    backups: tuple[Known, ...]
    complete: bool


def remote_list(config: ClientConfig) -> RemoteList:
    """Ask the archive.

    :raises NothingToDo: when it tells nothing now: no index, nothing lent, and the last upload is not collected yet.
    :raises ArchiveError: when it cannot be reached.
    """
    private_cache(config)
    with lent.opened(remote_account(config), index_too=True) as lending:
        index = lending.outgoing.index
        if index is None:
            return RemoteList(tuple(_without_index(config, lending)), complete=False)
        found = []
        for each in index.backups:
            end, damaged = int(each.time.timestamp()), each.chain_length is None
            levels, length = each.levels, each.chain_length
            found.append(Known(end, each.kind == "full", levels, length, damaged, lending.until(end)))
        return RemoteList(tuple(found), complete=True)


def _without_index(config: ClientConfig, lending: Lending) -> list[Known]:
    known = {}
    for backup in lending.catalog.backups:
        increment = backup.increment
        length = len(backup.chain) if backup.chain else None
        known[increment] = Known(increment.end, increment.is_full, (), length, damaged=length is None)
    try:
        names = served(remote_next(config).look())
    except NothingToDo:
        if not known:
            raise
        names = frozenset()
    for files in collect(names).sets:
        increment = Increment(files.start, files.end)
        known.setdefault(increment, Known(increment.end, increment.is_full))
    found = (replace(each, lent_until=lending.until(each.end)) for each in known.values())
    return sorted(found, key=lambda each: each.end)
