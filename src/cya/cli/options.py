"""Options that several verbs share."""

from __future__ import annotations

import os
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from cya import clock

Now = Annotated[
    str | None,
    typer.Option("--now", metavar="T", help="Take T for the current time (also: CYA_NOW).", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The client's config file.", show_default=False)
]

Version = Annotated[
    bool, typer.Option("--version", callback=lambda wanted: _tell_version(wanted), is_eager=True, help="Tell and end.")
]
ArchiveConfig = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The archive host's config: all of its roots.", show_default=False),
]


def moment(now: str | None) -> datetime:
    """Return the time that a verb takes for now.

    :raises UsageError: when ``--now`` or ``CYA_NOW`` cannot be read.
    """
    return clock.now(now)


def set_now(now: str | None) -> None:
    """Let ``--now`` before the verb mean the same as after it, for this process and for what it starts."""
    if now is not None:
        clock.now(now)
        os.environ["CYA_NOW"] = now


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cya {metadata.version('cya')}")
        raise typer.Exit


def exit_status(**codes: str) -> str:
    """Return the EXIT STATUS section of a verb's help: ``exit_status(_0="done", _11="…")``."""
    lines = "\n\n".join(f"**{code[1:]}** {meaning}" for code, meaning in codes.items())
    return f"EXIT STATUS\n\n{lines}"
