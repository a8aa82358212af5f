"""``cya find``: which backups have which versions of a file."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from cya import clock
from cya.cli import listing, options, output
from cya.cli import source as sources
from cya.cli.looking import opened
from cya.client.find import Search, Version
from cya.client.globs import Globs
from cya.config import client as client_config
from cya.errors import OK, IntegrityError, NotInBackup

EXIT = options.exit_status(
    _0="found",
    _1="it failed: no backup has such a path, a wrong passphrase, …",
    _2="wrong usage or config",
    _13="some backups are damaged (they are named); what the others have is told",
)


def find(
    patterns: Annotated[
        list[str],
        typer.Argument(
            metavar="PATTERN...",
            help="As in a config: * and ? stop at a slash, ** does not. Without a slash: for names anywhere.",
        ),
    ],
    config: options.Config = None,
    source: sources.From = None,
    passphrase_file: sources.PassphraseFile = None,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="A is a.")] = False,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Say of every path that matches which backups have which versions of it: from which on, until which.

    Looks through all backups of an archive. Only signatures are read, no volume: of a file with several names (hard
    links) the one is found under which it is stored.
    """
    options.moment(now)
    settings = client_config.load(config) if config is not None else None
    globs = Globs(patterns, settings.source if settings is not None else None, ignore_case=ignore_case)
    with opened(settings, source, passphrase_file) as place:
        search = Search(place, globs.match)
        found = 0

        def each() -> Any:
            nonlocal found
            for versions in search.found():
                found += 1
                yield versions

        if json:
            output.print_json_list(_facts(versions) for versions in each())
        else:
            for versions in each():
                _tell(versions)
    for trouble in search.trouble:
        print(f"cya: {trouble}", file=sys.stderr)
    if not found:
        raise NotInBackup(f"{place.catalog.source}: no backup that can be read has a path that matches")
    return IntegrityError.exit_code if search.trouble else OK


def _tell(versions: list[Version]) -> None:
    print(listing.name(versions[0].record))
    for version in versions:
        span = f"{clock.local(version.first)} … {clock.local(version.last)}"
        gone = f"  deleted in {clock.local(version.deleted)}" if version.deleted is not None else ""
        print(f"  {span}  {listing.attributes(version.record)}{listing.target(version.record)}{gone}")


def _facts(versions: list[Version]) -> dict[str, Any]:
    return {
        "path": os.fsdecode(versions[0].record.path),
        "versions": [
            {
                "first": clock.iso(version.first),
                "last": clock.iso(version.last),
                "deleted": clock.iso(version.deleted) if version.deleted is not None else None,
                **{key: value for key, value in listing.facts(version.record).items() if key != "path"},
            }
            for version in versions
        ],
    }
