"""``cya-collect``: ``cya collect`` with the options of 2012, for cron jobs that know it by that name."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cya import clock
from cya.archive.collect import collect_all
from cya.cli import collect, init_archive, options
from cya.cli.run import run
from cya.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.command(epilog=collect.EXIT)
def cya_collect(
    root: Annotated[Path, typer.Argument(metavar="ROOT")],
    init: Annotated[bool, typer.Option("--init", help="Make the root first; it must not exist.")] = False,
    force_time: Annotated[
        str | None, typer.Option("--force-time", metavar="T", help='Take T for now: "YYYY-MM-DD [HH:MM:SS[.SS]]".')
    ] = None,
    archive_user: Annotated[
        str | None, typer.Option("--archive-user", metavar="U", help="With --init: the Unix user who uploads.")
    ] = None,
    now: options.Now = None,
) -> int:
    """Commit a finished upload and serve the next, with the options that cya-collect had in 2012."""
    moment = _forced(force_time) if force_time else options.moment(now)
    if init:
        if root.exists():
            raise UsageError(f"{root}: must not exist with --init")
        init_archive.make(root, archive_user, None)
    done = collect_all([root], moment)
    collect.complain(done)
    return collect.exit_code(done)


def _forced(text: str) -> datetime:
    """Read a time as 2012 wrote it: a blank between date and time, parts of a second."""
    whole = text.split(".")[0].replace(" ", "T")
    return clock.parse(whole, clock.now("now", {}))


def main() -> None:
    """Run ``cya-collect``."""
    sys.exit(run(app))
