"""``cya check``: whether everything that was committed is still there and unchanged."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cya import clock
from cya.archive.check import run as archive
from cya.archive.check.outcome import consequences
from cya.archive.check.run import Result
from cya.cli import options, output
from cya.cli.collect import roots_of
from cya.errors import IntegrityError, UsageError, gravest
from cya.tree import layout

EXIT = options.exit_status(
    _0="no damage in what was looked at and read",
    _1="a root could not be checked",
    _2="wrong usage or config",
    _12="another check is at work on a root",
    _13="damage was found; each file is named, and what it means for which backups",
)

MOST_SHOWN = 50
"""Findings of one root that are printed; --json has all."""

_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?", re.ASCII)


def check(
    roots: Annotated[list[Path] | None, typer.Argument(metavar="[ROOT]...", show_default=False)] = None,
    config: options.ArchiveConfig = None,
    max_duration: Annotated[
        str | None,
        typer.Option(
            "--max-duration",
            metavar="T",
            help="Stop reading after T (90s, 30m, 2h), and go on with what was read longest ago at the next check.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
    now: options.Now = None,
) -> int:
    """Compare all committed files with their checksums, and the tree with its rules. No key is needed."""
    budget = seconds(max_duration) if max_duration is not None else None
    done = archive.check_all(roots_of(roots or [], config), options.moment(now), budget)
    if json:
        output.print_json([_facts(each) for each in done])
    elif sys.stdout.isatty():
        for each in done:
            _tell(each)
    for each in done:
        _complain(each)
    return exit_code(done)


def seconds(text: str) -> float:
    """Read a duration such as ``90s``, ``30m``, ``1h30m``.

    :raises UsageError: when it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not text.strip():
        raise UsageError(f"--max-duration {text!r}: expected a duration such as 90s, 30m, 2h or 1h30m")
    hours, minutes, rest = (int(part or 0) for part in found.groups())
    return float(hours * 3600 + minutes * 60 + rest)


def exit_code(done: list[Result]) -> int:
    """Return the gravest of what happened: damage, a failure, a lock."""
    codes = {each.error.exit_code for each in done if each.error is not None}
    codes |= {IntegrityError.exit_code for each in done if each.damaged}
    return gravest(codes)


def _complain(each: Result) -> None:
    if each.error is not None:
        print(f"cya: {each.error}", file=sys.stderr)
    if not each.damaged:
        return
    name = each.root.resolve().name
    damage = [finding for finding in each.findings if finding.damage]
    for finding in damage[:MOST_SHOWN]:
        print(f"cya: {name}: {finding.path}: {finding.message}", file=sys.stderr)
    if len(damage) > MOST_SHOWN:
        print(f"cya: {name}: … and {len(damage) - MOST_SHOWN} more; --json tells all", file=sys.stderr)
    for line in consequences(each.outcome) or ["every backup can be restored, from every directory that lists it"]:
        print(f"cya: {name}: {line}", file=sys.stderr)


def _tell(each: Result) -> None:
    if each.error is not None:
        return
    for finding in each.findings:
        if not finding.damage:
            print(f"{each.root}: {finding.path}: {finding.message}")
    read, speed = each.progress.reading, each.progress.reading.bytes / max(each.seconds, 0.001)
    print(
        f"{each.root}: {len(each.outcome.backups)} backups; read {read.files} files, {output.size(read.bytes)} "
        f"({output.size(speed)}/s); {len(each.progress.unread)} backups not read this time"
        + ("; damaged" if each.damaged else "; no damage found")
    )


def _facts(each: Result) -> dict[str, Any]:
    read = each.progress
    return {
        "root": str(each.root),
        "findings": [{"kind": f.kind, "path": f.path, "message": f.message, "damage": f.damage} for f in each.findings],
        "consequences": consequences(each.outcome) if each.damaged else [],
        "unrestorable": [clock.iso(end) for end in each.outcome.unrestorable],
        "incomplete": {
            layout.directory(period): [clock.iso(end) for end in ends]
            for period, ends in each.outcome.incomplete.items()
        },
        "backups": len(each.outcome.backups),
        "read": {"increments": len(read.whole), "files": read.reading.files, "bytes": read.reading.bytes},
        "unread": len(read.unread),
        "oldest_read": clock.iso(read.oldest) if read.oldest else None,
        "recorded": len(each.recorded),
        "seconds": round(each.seconds, 3),
        "error": str(each.error) if each.error else None,
    }
