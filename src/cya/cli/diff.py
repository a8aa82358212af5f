"""``cya diff``: what differs between two backups."""

from __future__ import annotations

import os
import stat
from collections import Counter
from typing import Annotated, Any, get_args

import typer

from cya import clock
from cya.cli import listing, options, output
from cya.cli import source as sources
from cya.cli.looking import opened
from cya.client import diff as client
from cya.client import signatures
from cya.client.chosen import Chosen
from cya.client.diff import Difference
from cya.config import client as client_config
from cya.engine.native.reading.recorded import Recorded
from cya.errors import OK

EXIT = options.exit_status(
    _0="compared, whatever was found",
    _1="it failed: no backup from that time, a path is in neither, a wrong passphrase, …",
    _2="wrong usage or config",
    _13="a backup is damaged; what was told may be wrong",
)


def diff(
    first: Annotated[str, typer.Argument(metavar="T1", help="The newest backup up to T1; a date means its end.")],
    second: Annotated[str, typer.Argument(metavar="T2", help="The other one.")],
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", show_default=False)] = None,
    config: options.Config = None,
    source: sources.From = None,
    passphrase_file: sources.PassphraseFile = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Say what was added, removed and changed from one backup to another. Only signatures are read, no volume.

    So ACLs, attributes and further names of files (hard links) are not compared; .dupext, if it is named, tells that
    they changed.

    Of a file that was stored anew by another version of duplicity the signature may be of another kind. Then it counts
    as changed, and "perhaps" is said, unless the sizes differ.
    """
    moment = options.moment(now)
    times = [clock.parse(each, moment, end_of_day=True) for each in (first, second)]
    settings = client_config.load(config) if config is not None else None
    with opened(settings, source, passphrase_file) as place:
        chosen = Chosen(paths or [], place.origin)
        old, new = (signatures.find(place.catalog, time) for time in times)
        counts: Counter[str] = Counter()

        def each() -> Any:
            for found in client.differences(place, old, new, chosen):
                counts[found.what] += 1
                yield found

        if json:
            output.print_json_list(
                (_facts(found) for found in each()),
                "differences",
                lambda: {"old": clock.iso(old.end), "new": clock.iso(new.end), **_counted(counts)},
            )
        else:
            for found in each():
                print(_line(found))
            told = ", ".join(f"{number} {what}" for what, number in _counted(counts).items() if number) or "nothing"
            print(f"from the backup of {clock.local(old.end)} to that of {clock.local(new.end)}: {told}")
        chosen.check("either backup")
    return OK


def _counted(counts: Counter[str]) -> dict[str, int]:
    return {what: counts[what] for what in get_args(client.What)}


def _line(found: Difference) -> str:
    old, new = found.old, found.new
    notes = []
    if old is not None and new is not None:
        if found.what == "type":
            notes.append(f"{_type(old)} → {_type(new)}")
        elif found.what == "content":
            notes += [told for told in (_changed(old, new), "" if found.certain else "perhaps") if told]
        notes += [f"{name} {_attribute(old, name)} → {_attribute(new, name)}" for name in found.attributes]
    else:
        notes += [told for told in (listing.size(found.either), listing.target(found.either).strip()) if told]
    return f"{found.what:10}  {listing.name(found.either)}" + (f"  ({', '.join(notes)})" if notes else "")


def _changed(old: Recorded, new: Recorded) -> str:
    if old.link or new.link:
        return f"{listing.target(old).strip()} → {listing.target(new).strip()}"
    sizes = listing.size(old), listing.size(new)
    return f"{sizes[0]} → {sizes[1]}" if sizes[0] != sizes[1] else sizes[0]


def _type(record: Recorded) -> str:
    return listing.TYPES[stat.S_IFMT(record.mode)]


def _attribute(record: Recorded, name: str) -> str:
    if name == "mode":
        return f"{stat.S_IMODE(record.mode):04o}"
    return f"{record.uid}:{record.gid}" if name == "owner" else listing.time(record)


def _facts(found: Difference) -> dict[str, Any]:
    return {
        "path": os.fsdecode(found.either.path),
        "what": found.what,
        "attributes": list(found.attributes),
        "certain": found.certain,
        "old": listing.facts(found.old) if found.old is not None else None,
        "new": listing.facts(found.new) if found.new is not None else None,
    }
