"""``cya init-archive``: make an archive root."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cya.archive import collect, init
from cya.cli import options
from cya.config.root import RootConfig
from cya.errors import OK

EXIT = options.exit_status(_0="made", _1="it could not be made", _2="wrong usage")

Levels = Annotated[
    str | None,
    typer.Option(
        "--levels", metavar="LEVEL,…", help="Levels, coarse to fine.", show_default=",".join(RootConfig().levels)
    ),
]


def init_archive(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="A new directory: one client's place on the archive.")],
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="U", help="The Unix user who uploads; default: who runs this.", show_default=False
        ),
    ] = None,
    levels: Levels = None,
    now: options.Now = None,
) -> int:
    """Make an archive root and serve the first upload."""
    moment = options.moment(now)
    make(root, user, levels)
    collect.collect(root, moment)
    if sys.stdout.isatty():
        print(f"{root}: made; it waits for the first backup")
    return OK


def make(root: Path, user: str | None, levels: str | None) -> None:
    """Make a root with settings from the command line.

    :raises UsageError: when they are wrong.
    """
    chosen = tuple(level.strip() for level in levels.split(",")) if levels else RootConfig().levels
    init.init_archive(root, RootConfig(user=user, levels=chosen))
