"""Where verbs that restore or look into backups find them: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cya.config.address import SftpAddress, parse_archive
from cya.config.client import ClientConfig
from cya.errors import UsageError

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="An archive root, any directory of Duplicity files, or sftp://USER@HOST:PORT, which lends.",
        show_default=False,
    ),
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="F", help="Instead of the config's.", show_default=False)
]
Time = Annotated[
    str, typer.Option("--time", metavar="T", help="The newest backup up to T; a date means the end of that day.")
]


def place_of(settings: ClientConfig | None, given: str | None) -> Path | SftpAddress:
    """Return where the backups are.

    :param given: what ``--from`` names.
    :raises UsageError: when neither says it.
    """
    if given is None:
        if settings is None:
            raise UsageError("give --config FILE, or --from SOURCE (and --passphrase-file F if it is encrypted)")
        return settings.location
    if "://" not in given:
        return Path(given)
    try:
        return parse_archive(given)
    except ValueError as error:
        raise UsageError(f"--from: {error}") from error
