"""``cya add-client``: take a client in on the archive host."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path
from typing import Annotated

import typer

from cya.archive import clients, sshd, users
from cya.cli import options
from cya.config import archive as archive_config
from cya.config import creating, reading
from cya.config.archive import STANDARD, ArchiveConfig
from cya.errors import OK, UsageError

EXIT = options.exit_status(
    _0="the client can upload (also when it could before)",
    _1="it could not be taken in; nothing of anybody else was touched",
    _2="wrong usage, name, key or config",
    _12="another run adds or removes a client, or collects its root",
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The client's name: its Unix user and its root are called so.")
]
HostConfig = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The archive host's config.", show_default=str(STANDARD)),
]


def add_client(
    name: Name,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="The client's public SSH key: its .pub file, or the line itself.",
            show_default="the one that it has already",
        ),
    ] = None,
    config: HostConfig = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="How clients call this host.", show_default="its full name"),
    ] = None,
    now: options.Now = None,
) -> int:
    """Make a client's user and root, and let it upload by SFTP with its key; print what the client needs.

    Run again it puts everything right; another --key takes the place of the one before. As root.
    """
    moment = options.moment(now)
    users.require_root("add-client")
    users.check_name(name)
    text = _read(key) if key is not None else None
    settings = _settings(config)
    text = text or sshd.authorized(settings, name)
    if text is None:
        raise UsageError(f"{name} has no key yet; give its public SSH key with --key")
    added = clients.add_client(name, text, settings, moment)
    print(_report(name, settings, added, host or socket.getfqdn()))
    return OK


def _read(key: str) -> str:
    is_file = os.path.exists(key) or " " not in key.strip()
    text = key if not is_file else reading.read_file(Path(key), forbidden=0, others_own=True)
    return sshd.public_key(text)


def _settings(config: Path | None) -> ArchiveConfig:
    """Load the archive's config; where nothing was asked for and there is none, make it."""
    if config is None and not STANDARD.exists():
        # Not 0700, as directories of configs are made elsewhere: sshd reads the keys below it as their user.
        STANDARD.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with creating.new_files({STANDARD: archive_config.standard()}):
            print(f"Made {STANDARD}: look through it.")
    return archive_config.load(config or STANDARD)


def _report(name: str, settings: ArchiveConfig, added: clients.Added, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    address = f"sftp://{name}@{shown}:{settings.sshd_port}"
    host_key = sshd.host_key(settings)
    by_hand = f"\nsystemd does not run here. Run this now, and see that sshd starts at boot:\n\n  {added.start}\n"
    return f"""\
The root of {name} is {added.root}; it waits for the first backup.
{by_hand if added.start else ""}
On {name}, as the user that runs cya (mostly root):

1. In its config, /etc/cya/{name}.toml (fingerprint of the host key: {sshd.host_fingerprint(settings)}):

archive = "{address}"

[sftp]
host_key = "{host_key}"

   Unless there is a config yet:

  cya init --config /etc/cya/{name}.toml --source / --archive {address} \\
    --host-key {shlex.quote(host_key)} --identity-file FILE

   FILE is the private half of the key that was given here; without it a new one is made, to be given here again.

2. cya backup --config /etc/cya/{name}.toml

Here, often, from a timer: cya collect --config {settings.path}"""
