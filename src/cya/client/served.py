"""What a client may see of an archive on another host: the chain that it is to continue."""

from __future__ import annotations

from cya.client.places import private_cache, remote_next
from cya.config.client import ClientConfig
from cya.format.collection import collect
from cya.transport.served import served
from cya.tree.chain import Increment


def served_chain(config: ClientConfig) -> tuple[Increment, ...]:
    """Ask the archive, and return the served increments, oldest first.

    :raises NothingToDo: when it serves nothing now: the last upload is not collected yet.
    :raises ArchiveError: when it cannot be reached.
    """
    private_cache(config)
    names = served(remote_next(config).look())
    return tuple(Increment(files.start, files.end) for files in collect(names).sets)
