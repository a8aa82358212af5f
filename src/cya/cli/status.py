"""``cya status``: how the clients of an archive are."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cya import clock
from cya.archive import status as archive
from cya.archive.status import Status
from cya.cli import options, output
from cya.cli.add_client import HostConfig
from cya.config import archive as archive_config
from cya.config.archive import MAX_AGE, STANDARD, ArchiveConfig
from cya.errors import OK, ConfigError, UsageError

EXIT = options.exit_status(
    _0="every client has a backup that is young enough",
    _1="a client is overdue, or a root cannot be read; stderr names it",
    _2="wrong usage or config",
)


def status(
    roots: Annotated[list[Path] | None, typer.Argument(metavar="[ROOT]...", show_default=False)] = None,
    config: HostConfig = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age", metavar="AGE", help="How old a last backup may be.", show_default="the config's, or 36h"
        ),
    ] = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Show for each client its last backup, its state, sizes, refused uploads, and the space that is left."""
    moment = options.moment(now)
    settings = archive_config.load(config or STANDARD) if config or not roots else None
    limit = _limit(max_age, settings)
    found, broken = (roots, []) if roots or settings is None else _expanded(settings)
    with ThreadPoolExecutor(max_workers=8) as pool:
        done = [*pool.map(lambda root: archive.status(root, moment, limit), found or []), *broken]
    if json:
        output.print_json([_facts(each) for each in done])
    elif done:
        _show(done)
    for each in done:
        if message := each.overdue or (each.error and str(each.error)):
            print(f"cya: {message}", file=sys.stderr)
    return 1 if any(each.overdue or each.error for each in done) else OK


def _limit(option: str | None, settings: ArchiveConfig | None) -> timedelta:
    try:
        return archive_config.parse_age(option or (settings.max_age if settings else MAX_AGE))
    except ValueError as error:
        raise UsageError(f"--max-age: {error}") from error


def _expanded(settings: ArchiveConfig) -> tuple[list[Path], list[Status]]:
    """Return the roots of a config, and those that it names and that are not there."""
    found: set[Path] = set()
    broken = []
    for pattern in settings.roots:
        try:
            found.update(archive_config.expand(msgspec.structs.replace(settings, roots=(pattern,))))
        except ConfigError as error:
            broken.append(Status(Path(pattern), error=error))
    return sorted(found), broken


def _facts(each: Status) -> dict[str, Any]:
    return {
        "name": each.name,
        "root": str(each.root),
        "state": each.state.name.lower() if each.state else None,
        "last": clock.iso(each.last) if each.last is not None else None,
        "age": each.age if each.last is not None else None,
        "overdue": each.overdue is not None,
        "removed": each.removed,
        "backups": each.backups,
        "damaged": each.damaged,
        "bytes": each.bytes,
        "loans": [
            {"loan": loan.name, "time": clock.iso(loan.end), "expires": clock.iso(loan.expires)} for loan in each.loans
        ],
        "deferred": each.deferred,
        "alarms": each.alarms,
        "quarantines": each.quarantines,
        "newest_refusal": (
            {"slot": Path(each.newest_refusal[0]).name, "reason": each.newest_refusal[1]}
            if each.newest_refusal
            else None
        ),
        "free_bytes": each.free_bytes,
        "free_inodes": each.free_inodes,
        "error": str(each.error) if each.error else None,
    }


def _show(done: list[Status]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, right in (("client", 0), ("last backup", 0), ("age", 1), ("backups", 1), ("size", 1), ("free", 1)):
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    table.add_column("free inodes", justify="right")
    table.add_column("state", overflow="fold")
    for each in done:
        table.add_row(*_row(each))
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=200)).print(table)
    for each in done:
        if each.newest_refusal:
            place, reason = each.newest_refusal
            console.print(escape(f"{each.name}: {each.quarantines} refused; {place}: {reason}"), soft_wrap=True)
        for loan in each.loans:
            lent = f"the backup of {clock.local(loan.end)} is lent until {clock.local(loan.expires)}"
            console.print(escape(f"{each.name}: {lent}"), soft_wrap=True)
        for alarm in each.alarms:
            console.print(escape(f"{each.name}: {alarm}"), soft_wrap=True)


def _row(each: Status) -> list[str]:
    if each.error or each.state is None:
        return [escape(each.name), "?", "", "", "", "", "", "[red]cannot be read[/red]"]
    state = "removed" if each.removed else each.state.value
    if each.damaged:
        state += f"; [red]{each.damaged} damaged[/red]"
    if each.loans:
        state += f"; {len(each.loans)} lent"
    if each.deferred:
        state += f"; deferred {each.deferred} times"
    if each.alarms:
        state += f"; [yellow]{len(each.alarms)} alarms[/yellow]"
    if each.quarantines:
        state += f"; {each.quarantines} in quarantine"
    old = archive.age(each.age) if each.last is not None else ""
    return [
        escape(each.name),
        clock.local(each.last) if each.last is not None else "none yet",
        f"[red]{old}[/red]" if each.overdue else old,
        str(each.backups),
        output.size(each.bytes),
        output.size(each.free_bytes),
        str(each.free_inodes) if each.free_inodes is not None else "",
        f"{state}; [red]overdue[/red]" if each.overdue else state,
    ]
