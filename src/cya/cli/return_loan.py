"""``cya return``: take back what is lent to a client."""

from __future__ import annotations

from typing import Annotated

import typer

from cya import clock
from cya.archive import return_loan as archive
from cya.cli import options
from cya.cli.add_client import HostConfig
from cya.cli.clients import root_of
from cya.errors import OK

EXIT = options.exit_status(
    _0="the client cannot open it any more (also when nothing was lent)",
    _1="there is no such loan, or it could not be taken back",
    _2="wrong usage or config",
    _12="another run is at work on the root",
)


def return_loan(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The client's name, or its root.")],
    loan: Annotated[
        str | None,
        typer.Argument(metavar="[LOAN]", help="As cya lend --list calls it; default: all.", show_default=False),
    ] = None,
    config: HostConfig = None,
    now: options.Now = None,
) -> int:
    """Take back what is lent to a client, before its time. The backups stay as they are."""
    done = archive.return_loan(root_of(name, config), options.moment(now), loan)
    for each in done:
        print(f"{name} can read the backup of {clock.local(each.end)} no more.")
    if not done:
        print(f"Nothing is lent to {name}.")
    return OK
