"""``cya backup``: one backup; with an archive on this machine it is collected, too."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from cya import clock
from cya.archive import collect
from cya.cli import options, output, statistics
from cya.cli.progress import bar
from cya.cli.run import interrupted_means
from cya.client import backup as client
from cya.client.engines import engine_of
from cya.client.hooks import Hooks
from cya.client.places import own_archive, target_of
from cya.config import client as client_config
from cya.config.client import ClientConfig
from cya.errors import DONE_WITH_WARNINGS, OK, BatchRefused
from cya.printable import printable
from cya.snapshot.choosing import NONE

EXIT = options.exit_status(
    _0="the backup is made",
    _1="it failed; nothing was committed, the next run starts over",
    _2="wrong usage or config",
    _10="the backup is made, but some files could not be read (they are named), a snapshot could not be removed, or a "
    "command of hooks.on_success failed",
    _11="nothing to do: the archive wants no upload now",
    _12="another run is at work",
    _13="the archive refused the backup",
)


def backup(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The client's config file.")],
    full: Annotated[bool, typer.Option("--full", help="Make a full backup although none is needed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be backed up.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Print statistics as duplicity does.")] = False,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Back the source up. Silent when all is well and nobody looks on, as under cron."""
    moment = options.moment(now)
    settings = client_config.load(config)
    engine, target = engine_of(settings), target_of(settings)
    root = None if dry_run else own_archive(settings)
    hooks = Hooks(settings, enabled=not dry_run)
    with hooks.told(), interrupted_means("nothing was committed, and the next run starts over"):
        if root is not None:
            client.drop_debris(settings, engine, target)
            collected(root, moment)
        with bar("backup", shown=not json) as watch:
            done = client.backup(settings, engine, target, moment, full=full, dry_run=dry_run, watch=watch, hooks=hooks)
        committed = root is not None and collected(root, max(moment, options.moment(now)))
    if json:
        output.print_json(_facts(settings, done, hooks.warnings, committed=committed))
    elif stats:
        print(statistics.text(done.report.statistics))
    elif sys.stdout.isatty():
        _tell(settings, done, dry_run)
    for lost in done.report.lost:
        print(f"cya: not backed up: {printable(lost.path)}: {lost.reason}", file=sys.stderr)
    warnings = (*done.warnings, *hooks.warnings)
    for warning in warnings:
        print(f"cya: {warning}", file=sys.stderr)
    return DONE_WITH_WARNINGS if done.report.lost or warnings else OK


def collected(root: Path, now: datetime) -> bool:
    """Collect; return whether anything was committed. What waits for the next run, or is unusual, is said."""
    done = collect.collect(root, now)
    for message in [*done.alarms, *done.deferred]:
        print(f"cya: {message}", file=sys.stderr)
    if done.refused:
        raise BatchRefused("; ".join(done.refused))
    return bool(done.committed)


def _facts(settings: ClientConfig, done: client.Done, warnings: list[str], *, committed: bool) -> dict[str, Any]:
    report = done.report
    return {
        "source": str(settings.source),
        "archive": settings.archive,
        "kind": report.kind,
        "start": clock.iso(report.start) if report.start is not None else None,
        "end": clock.iso(report.end),
        "committed": committed,
        "bytes": done.bytes,
        "files": len(done.names),
        "statistics": report.statistics,
        "snapshots": list(done.snapshots),
        "warnings": [*done.warnings, *warnings],
        "lost": msgspec.to_builtins(report.lost),
    }


def _tell(settings: ClientConfig, done: client.Done, dry_run: bool) -> None:
    counted = done.report.statistics
    changes = ", ".join(
        f"{int(counted[name]):,} {word}"
        for name, word in (("NewFiles", "new"), ("ChangedFiles", "changed"), ("DeletedFiles", "deleted"))
        if counted.get(name)
    )
    kind = "full" if done.report.kind == "full" else "increment"
    verb = "would be made" if dry_run else "made"
    size = "" if dry_run else f", {output.size(done.bytes)} in {len(done.names)} files"
    print(f"{settings.source}: {kind} of {clock.local(done.report.end)} {verb}: {changes or 'nothing changed'}{size}")
    if settings.snapshot.kind != NONE and not dry_run:
        print(f"  read from snapshots: {', '.join(done.snapshots) or 'none could be taken, it was read as it is'}")
