"""What is left to do after a client's config was written."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from cya.config.address import SftpAddress
from cya.config.client import ClientConfig


def next_steps(config: ClientConfig) -> str:
    """Say it, with commands that can be copied."""
    backup = f"cya backup --config {shlex.quote(str(config.path))}"
    place = config.location
    if not isinstance(place, SftpAddress):
        return f"""\
NEXT STEPS

  1. The archive is made in {place} with this command (by hand: cya init-archive {shlex.quote(str(place))}).
  2. {backup}"""
    host_key = "Nothing: the archive's host key is in the config already." if config.sftp.host_key else _HOST_KEY
    return f"""\
NEXT STEPS

  1. The archive's admin, on {place.host}, as root:
       cya add-client {place.user} --key {_public_key(config)} --host {shlex.quote(place.host)}
  2. Here: {host_key.format(file=config.path)}
  3. Here, the first backup:
       {backup}
  4. Here, every night, by crontab -e (or from a systemd timer); it says nothing when all is well:
       {_minute(config.name)} 2 * * * {shutil.which("cya") or "/usr/local/bin/cya"} {backup.removeprefix("cya ")}"""


_HOST_KEY = """put the line that this prints into the table [sftp] of {file}:
       host_key = "ssh-ed25519 …\""""


def _public_key(config: ClientConfig) -> str:
    """Return the client's public key as an argument for the shell, or a word for it."""
    private = config.sftp.identity_file
    if private is not None:
        file = private if private.suffix == ".pub" else Path(f"{private}.pub")
        try:
            line = file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            return f"'…' (the line in {file})"
        if line.isprintable() and len(line) < 2000:
            return shlex.quote(line)
    return "'ssh-ed25519 …'"


def _minute(name: str) -> int:
    """Choose a minute by the name: many clients that come at the same time would be in each other's way."""
    return sum(name.encode()) * 7 % 60
