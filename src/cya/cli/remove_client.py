"""``cya remove-client``: let a client go."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from cya.archive import clients, users
from cya.cli import options
from cya.cli.add_client import HostConfig, Name
from cya.config import archive as archive_config
from cya.config.archive import STANDARD
from cya.errors import OK

EXIT = options.exit_status(
    _0="the client has no access (also when it had none before)",
    _1="its user or its root could not be dealt with; run again when the cause is removed",
    _2="wrong usage or config",
    _12="another run adds or removes a client, or collects its root",
)


def remove_client(
    name: Name,
    config: HostConfig = None,
    delete_backups: Annotated[
        bool, typer.Option("--delete-backups", help="Delete all backups of the client, too, for good.")
    ] = False,
    now: options.Now = None,
) -> int:
    """Take a client's access away: its key, its sessions, its user. Its backups are kept. As root."""
    moment = options.moment(now)
    users.require_root("remove-client")
    settings = archive_config.load(config or STANDARD)
    gone = clients.remove_client(name, settings, moment, delete_backups=delete_backups)
    if not gone.known:
        print(f"There is no client {name}.")
    elif gone.kept is None:
        print(f"{name} is removed; there are no backups of it.")
    else:
        print(
            f"{name} is removed. Its backups are kept in {gone.kept}; look: cya list {shlex.quote(str(gone.kept))}\n"
            f"When they are not needed any more: cya remove-client {name} --delete-backups"
        )
    return OK
