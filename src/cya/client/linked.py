"""What is in a backup, the other names of files with several names among it, where the volumes that tell are here."""

from __future__ import annotations

from collections.abc import Iterator

from cya.client.side import side_of
from cya.client.signatures import Source, Way, in_force
from cya.engine.native.reading.recorded import Recorded
from cya.errors import CyaError


def with_links(source: Source, found: Way) -> Iterator[Recorded]:
    """Yield as :func:`cya.client.signatures.in_force`, and a record for each name that is not in the archive itself.

    Where it cannot be told which names those are, they are missing.
    """
    links = dict(_links(source, found))
    if not links:
        yield from in_force(source, found)
        return
    stored = set(links.values())
    records = {record.key: record for record in in_force(source, found) if record.key in stored}
    waiting = iter(sorted(links))
    following = next(waiting, None)
    for record in in_force(source, found):
        while following is not None and following < record.key:
            yield from _named(following, records.get(links[following]))
            following = next(waiting, None)
        if record.key not in links:
            yield record
    while following is not None:
        yield from _named(following, records.get(links[following]))
        following = next(waiting, None)


def _named(key: bytes, record: Recorded | None) -> Iterator[Recorded]:
    if record is not None:
        yield record._replace(key=key)


def _links(source: Source, found: Way) -> Iterator[tuple[bytes, bytes]]:
    try:
        side = side_of(source, found)
        sets = side.link_sets() if side is not None and side.ours else []
    except CyaError:
        sets = []  # who restores or checks it is told
    for first, *others in sets:
        yield from ((name, first) for name in others)
