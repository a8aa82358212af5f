"""``cya init``: write a client's config, make its passphrase (and SSH key), and make an archive on this machine."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cya import catalog
from cya.archive import collect
from cya.cli import init_archive, options
from cya.client import init as client
from cya.client.places import local_archive, own_archive, target_of
from cya.config.client import ClientConfig
from cya.engine.registry import engine_named
from cya.errors import OK, ArchiveError, UsageError
from cya.tree import layout

EXIT = options.exit_status(
    _0="written; what has to be kept in a safe is printed",
    _1="it failed; config and passphrase are not left behind",
    _2="wrong usage",
    _12="another run is at work on the archive",
)


def init(
    config: Annotated[Path, typer.Option("--config", metavar="F", help="The config file to write.")],
    source: Annotated[Path, typer.Option("--source", metavar="DIR", help="What to back up.")],
    archive: Annotated[
        str, typer.Option("--archive", metavar="DIR|sftp://USER@HOST:PORT", help="Where the backups go.")
    ],
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="F", help="Use this passphrase; default: a new one.", show_default=False
        ),
    ] = None,
    recipient: Annotated[
        list[str] | None, typer.Option("--recipient", metavar="KEYID", help="Encrypt to this gpg key; may be repeated.")
    ] = None,
    no_encryption: Annotated[bool, typer.Option("--no-encryption", help="Do not encrypt.")] = False,
    engine: Annotated[str, typer.Option("--engine", help="What makes the backups: native, or duplicity.")] = "native",
    levels: init_archive.Levels = None,
    volume_size: Annotated[str, typer.Option("--volume-size", metavar="SIZE", help="Of a volume, in MiB.")] = "200M",
    cache_dir: Annotated[
        Path | None,
        typer.Option("--cache-dir", metavar="DIR", help="Default: below /var/cache or ~/.cache.", show_default=False),
    ] = None,
    duplicity: Annotated[
        str | None, typer.Option("--duplicity", metavar="PROGRAM", help="The stock program.", show_default=False)
    ] = None,
    identity_file: Annotated[
        Path | None,
        typer.Option(
            "--identity-file", metavar="F", help="The SSH key to log in with; default: a new one.", show_default=False
        ),
    ] = None,
    host_key: Annotated[
        str | None,
        typer.Option(
            "--host-key",
            metavar="KEY",
            help="The archive host's public key, as cya add-client prints it.",
            show_default=False,
        ),
    ] = None,
    now: options.Now = None,
) -> int:
    """Set a client up. Asks nothing; overwrites nothing."""
    moment = options.moment(now)
    if not (passphrase_file or recipient or no_encryption):
        _check_new_archive(archive)
    made = client.initialise(
        config,
        source=source,
        archive=archive,
        passphrase_file=passphrase_file,
        recipients=tuple(recipient or ()),
        no_encryption=no_encryption,
        engine=engine,
        volume_size=volume_size,
        cache_dir=cache_dir,
        duplicity=duplicity,
        identity_file=identity_file,
        host_key=host_key,
    )
    try:
        engine_named(made.config.engine, made.config.cache_dir)
        target_of(made.config)
        _make_archive(made.config, levels, moment)
    except BaseException:
        for file in made.made:
            file.unlink()
        raise
    print(made.text)
    return OK


def _check_new_archive(archive: str) -> None:
    """Refuse to make a new passphrase for backups that are encrypted with another."""
    root, known = Path(archive), False
    with suppress(ArchiveError):  # not there, or somebody else's, who alone may look into it
        known = (root / layout.BACKUPS).is_dir() and bool(catalog.read(root).backups)
    if known:
        raise UsageError(
            f"{archive}: holds backups already; give the key that they are encrypted with: --passphrase-file FILE or "
            "--recipient KEYID (or --no-encryption)"
        )


def _make_archive(settings: ClientConfig, levels: str | None, moment: datetime) -> None:
    """Make an archive on this machine, unless it is there, and let it serve the first upload."""
    root = local_archive(settings)
    if root is not None and not (root / layout.BACKUPS).exists():
        init_archive.make(root, None, levels)
    if (root := own_archive(settings)) is not None:
        collect.collect(root, moment)
