"""From the client's config to the snapshots of one backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from cya.client.places import held, private_cache
from cya.config.client import ClientConfig
from cya.engine.duplicity_side import remove_left
from cya.snapshot import choosing, left
from cya.snapshot.choosing import AUTO, NONE
from cya.snapshot.mounts import Mount, below
from cya.snapshot.names import owner_of
from cya.snapshot.protocol import Found
from cya.snapshot.taken import Ask, View, taken


def ask_of(config: ClientConfig, now: datetime) -> Ask:
    """Return what the config asks for."""
    return Ask(
        source=config.source.resolve(),
        kind=config.snapshot.kind,
        size=config.snapshot.size,
        live=config.snapshot.live,
        owner=owner_of(config.path),
        now=int(now.timestamp()),
        marker=private_cache(config) / "snapshots",
        # Stock duplicity reads .dupext from the source; it is put into the snapshot.
        writable=config.engine == "duplicity" and config.metadata.keep,
        one_file_system=config.selection.one_file_system,
    )


@contextmanager
def shown(config: ClientConfig, now: datetime, *, dry_run: bool) -> Iterator[View]:
    """Show the source as the config wants it read, until the block ends. The config's lock is held.

    :param dry_run: as it is, in any case.
    :raises SnapshotError: when no snapshot can be taken or shown.
    """
    if dry_run:
        yield View()
        return
    if config.snapshot.kind != NONE:
        remove_left(config.source)  # what a killed stock duplicity left would be in the snapshot, too
    with taken(ask_of(config, now)) as view:
        yield view


def planned(config: ClientConfig, now: datetime) -> tuple[list[Found], list[Mount]]:
    """Return of what snapshots would be taken, and which file systems would be read as they are.

    :raises SnapshotError: when the kind that is asked for cannot take the source.
    """
    ask = ask_of(config, now)
    here, mounted = below(ask.source)
    every = [here, *([] if ask.one_file_system else mounted)]
    if ask.kind == NONE:
        return [], every
    chosen = choosing.choose(ask.kind, choosing.kinds(), every, ask.live, ask.size)
    found = [each for _, some in chosen for each in some]
    taken_mounts = {each.mount for each in found}
    return found, [each for each in every if each not in taken_mounts]


def left_behind(config: ClientConfig) -> list[str]:
    """Return the names of the snapshots that a killed run left.

    :raises Locked: when a backup is running, whose snapshots they might be.
    """
    with held(config):
        return left.names(owner_of(config.path))


def remove_left_behind(config: ClientConfig, now: datetime) -> list[str]:
    """Remove them; return what could not be removed, and why.

    :raises Locked: when a backup is running.
    """
    ask = ask_of(config, now)
    with held(config):
        return left.remove(ask.owner, ask.marker, AUTO)
