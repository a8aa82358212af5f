"""``cya-list``: ``cya list`` of several roots, as in 2012."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cya.cli import list_backups
from cya.cli.run import run

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.command(epilog=list_backups.EXIT)
def cya_list(roots: Annotated[list[Path], typer.Argument(metavar="ROOT...")]) -> int:
    """List the backups of each root."""
    codes = []
    for root in roots:
        print(f"{root}:")
        codes.append(list_backups.list_backups(root))
        print()
    return max(codes)


def main() -> None:
    """Run ``cya-list``."""
    sys.exit(run(app))
