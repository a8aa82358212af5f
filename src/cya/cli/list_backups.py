"""``cya list``: which backups there are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cya import catalog, clock
from cya.archive import settings
from cya.archive.levels import levels_of
from cya.catalog import Backup, Catalog
from cya.cli import options, output
from cya.cli.list_remote import list_remote
from cya.client.places import local_archive
from cya.config import client as client_config
from cya.config.client import ClientConfig
from cya.errors import OK, UsageError
from cya.printable import printable
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.levels import Calendar

EXIT = options.exit_status(
    _0="listed (also when there is nothing)",
    _1="it cannot be read",
    _2="wrong usage or config",
    _11="the archive on another host tells nothing now: the last upload is not collected yet",
)


_WIDE = 120
"""Columns of a terminal that hold the levels, too."""


def list_backups(
    root: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ROOT]", help="An archive root, or any directory of Duplicity files.", show_default=False
        ),
    ] = None,
    config: options.Config = None,
    tree: Annotated[
        bool, typer.Option("--tree", help="Show the tree of directories, and how much room each takes.")
    ] = False,
    calendar: Annotated[
        bool, typer.Option("--calendar", help="Show as a calendar which days can be restored.")
    ] = False,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """List the backups that can be restored, oldest first: when, of what kind, how large, and in which levels.

    With an archive on another host: all that its index tells, or the chain that the next backup continues; and until
    when they are lent.
    """
    options.moment(now)
    if tree and calendar:
        raise UsageError("give either --tree or --calendar")
    place = _place(root, config)
    if isinstance(place, ClientConfig):
        if tree or calendar:
            raise UsageError("--tree and --calendar are for an archive on this machine")
        return list_remote(place, json=json)
    found = catalog.read(place)
    if tree and not found.is_tree:
        raise UsageError(f"{place}: --tree is for an archive root, and this is one directory of it, or another one")
    levels = settings.calendar_of(place) if found.is_tree else Calendar()
    if tree:
        from cya.cli.list_tree import facts, show
    elif calendar:
        from cya.cli.list_calendar import facts, show
    else:
        facts, show = _all_facts, _show
    if json:
        output.print_json(facts(found, levels))
    elif found.backups:
        show(found, levels)
    else:
        print(f"{place}: no backups yet")
    return OK


def _place(root: Path | None, config: Path | None) -> Path | ClientConfig:
    if (root is None) == (config is None):
        raise UsageError("give either an archive root (or a directory of Duplicity files), or --config FILE")
    if config is None:
        return root if root is not None else Path()
    loaded = client_config.load(config)
    here = local_archive(loaded)
    return loaded if here is None else here


def _show(found: Catalog, levels: Calendar) -> None:
    """Print the table of backups. Times are never cut: they are what ``--time`` takes."""
    wide = not sys.stdout.isatty() or shutil.get_terminal_size().columns >= _WIDE
    titles = ["time", "kind", "chain", "size", "files", *(["levels"] if wide else []), "directory"]
    rows = []
    for backup in found.backups:
        length = str(len(backup.chain)) if backup.chain else "damaged"
        held = [" ".join(levels_of(backup, levels))] if wide else []
        row = [
            clock.local(backup.increment.end),
            _kind(backup.increment),
            length,
            output.size(backup.bytes),
            str(backup.files),
        ]
        rows.append([*row, *held, _path(found, backup)])
    output.print_table(titles, rows, right={"chain", "size", "files"})


def _kind(increment: Increment) -> str:
    return "full" if increment.is_full else "inc"


def _path(found: Catalog, backup: Backup) -> str:
    return layout.directory(backup.directories[0].period) or printable(str(found.source))


def _all_facts(found: Catalog, levels: Calendar) -> list[dict[str, Any]]:
    return [_facts(found, backup, levels) for backup in found.backups]


def _facts(found: Catalog, backup: Backup, calendar: Calendar) -> dict[str, Any]:
    return {
        "time": clock.iso(backup.increment.end),
        "kind": _kind(backup.increment),
        "levels": levels_of(backup, calendar),
        "path": _path(found, backup),
        "chain_length": len(backup.chain) if backup.chain else None,
        "bytes": backup.bytes,
        "files": backup.files,
        "damage": f"missing: {backup.missing}" if backup.missing else None,
    }
