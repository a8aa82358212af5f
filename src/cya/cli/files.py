"""``cya files``: what is in a backup, without restoring it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cya import clock
from cya.cli import listing, options, output
from cya.cli import source as sources
from cya.cli.looking import opened
from cya.client import signatures
from cya.client.chosen import Chosen
from cya.client.linked import with_links
from cya.client.signatures import Source, Way
from cya.config import client as client_config
from cya.engine.native.reading.recorded import Recorded
from cya.errors import OK

EXIT = options.exit_status(
    _0="listed",
    _1="it failed: no backup from that time, a path is not in it, a wrong passphrase, …",
    _2="wrong usage or config",
    _13="the backup is damaged; what was listed may be wrong",
)


def files(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", show_default=False)] = None,
    config: options.Config = None,
    source: sources.From = None,
    passphrase_file: sources.PassphraseFile = None,
    time: sources.Time = "now",
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", min=0, help="Only so many levels below each PATH.", show_default=False),
    ] = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """List what is in a backup: each PATH and all below it, or everything. Only signatures are read.

    Of a file with several names all are listed if the backup's volumes are on this host, else the one under which it is
    stored. The directory .dupext, which tells them, is listed only if a PATH names it.

    The format holds no exact sizes, but ranges of them: --json has both ends.
    """
    until = clock.parse(time, options.moment(now), end_of_day=True)
    settings = client_config.load(config) if config is not None else None
    with opened(settings, source, passphrase_file) as place:
        chosen = Chosen(paths or [], place.origin)
        found = signatures.find(place.catalog, until)
        records = _listed(place, found, chosen, depth)
        if json:
            output.print_json_list(_facts(record, found) for record in records)
        else:
            for record in records:
                print(listing.line(record))
        chosen.check(f"the backup of {clock.local(found.end)}")
    return OK


def _listed(place: Source, found: Way, chosen: Chosen, depth: int | None) -> Iterator[Recorded]:
    for record in with_links(place, found):
        top = chosen.above(record.key)
        if top is not None and (depth is None or _depth(record.key) - _depth(top) <= depth):
            yield record


def _depth(key: bytes) -> int:
    return key.count(b"\0") + 1 if key else 0


def _facts(record: Recorded, found: Way) -> dict[str, Any]:
    """Return what is told of a path: beside what is recorded, the backup in which it came."""
    return {**listing.facts(record), "backup": clock.iso(found.increments[record.number].end)}
