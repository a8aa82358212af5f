"""Sets a client up: its config, its passphrase, and what is to be done next."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cya.client.next_steps import next_steps
from cya.client.recovery_sheet import recovery_sheet
from cya.config import address, creating, writing
from cya.config import client as client_config
from cya.config.address import SftpAddress
from cya.config.client import ClientConfig
from cya.config.passphrase import new_passphrase
from cya.errors import ConfigError
from cya.transport.ssh_key import new_key

_SIZE = re.compile(r"([0-9]{1,9})\s*([MG])?(?:iB|B)?", re.IGNORECASE | re.ASCII)
_NOT_OF_THE_DISK = ("- /dev/*", "- /proc/*", "- /run/*", "- /sys/*", "- /tmp/*")
"""What is left out of a whole system: the kernel's file systems, and what the next boot empties."""


@dataclass(frozen=True)
class Initialised:
    """What was made, and what has to be shown once.

    :ivar made: files that were written.
    :ivar recovery_sheet: what to keep in a safe. It holds a generated passphrase.
    :ivar next_steps: what is left to do before the first backup.
    """

    config: ClientConfig
    made: tuple[Path, ...]
    recovery_sheet: str = field(repr=False)
    next_steps: str

    @property
    def text(self) -> str:
        """Everything that is to be printed."""
        return f"{self.recovery_sheet}\n\n{self.next_steps}"


def initialise(
    config_path: Path,
    *,
    source: Path,
    archive: str,
    passphrase_file: Path | None = None,
    recipients: Sequence[str] = (),
    no_encryption: bool = False,
    engine: str = "native",
    volume_size: int | str = 200,
    duplicity: str | None = None,
    cache_dir: Path | None = None,
    gnupg_home: Path | None = None,
    patterns: Sequence[str] | None = None,
    identity_file: Path | None = None,
    host_key: str | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> Initialised:
    """Write a client's config and, unless they are given, a new passphrase and a new SSH key beside it.

    Nothing that exists is overwritten, and on an error nothing is left behind. Relative paths are taken from the
    working directory.

    :param archive: a directory of this host, or ``sftp://USER@HOST:PORT``.
    :param volume_size: MiB, or a text such as ``200M`` or ``1G``.
    :param patterns: what to select; None: everything, but for a whole system not what is not on a disk.
    :param identity_file: the SSH key to log in with, instead of a new one; for an archive on another host only.
    :param host_key: that host's public key, ``ssh-ed25519 BASE64``.
    :raises ConfigError: when an argument is wrong, or a file exists already or cannot be written.
    """
    path = Path(os.path.abspath(config_path))
    source = Path(os.path.abspath(source))
    if not os.path.isdir(source):
        raise ConfigError(f"{source}: the source is not a directory")
    generated = None if passphrase_file or recipients or no_encryption else path.with_suffix(".passphrase")
    if patterns is None and source == Path("/"):
        patterns = _NOT_OF_THE_DISK
    remote = _is_remote(archive)
    if not remote and (identity_file or host_key):
        raise ConfigError("--identity-file and --host-key are for an archive on another host, sftp://USER@HOST:PORT")
    own_key = path.with_suffix(".key") if remote and identity_file is None else None
    values = {
        "source": source,
        "archive": _absolute_archive(archive),
        "engine": engine,
        "duplicity": duplicity,
        "volume_size": mebibytes(volume_size),
        "cache_dir": cache_dir and os.path.abspath(cache_dir),
        "gnupg_home": gnupg_home and os.path.abspath(gnupg_home),
        "encryption": {
            "passphrase_file": generated.name if generated else passphrase_file and os.path.abspath(passphrase_file),
            "recipients": tuple(recipients) or None,
            "none": no_encryption or None,
        },
        "sftp": {
            "identity_file": own_key.name if own_key else identity_file and os.path.abspath(identity_file),
            "host_key": host_key,
        },
        "selection": {"patterns": patterns},
    }
    passphrase = new_passphrase(random) if generated else None
    config, made = _write(path, values, generated, passphrase, own_key)
    return Initialised(config, made, recovery_sheet(config, passphrase), next_steps(config))


def _absolute_archive(archive: str) -> str:
    """Complete a relative directory; leave what is, or was meant to be, on another host as it is."""
    return archive if not archive or ":" in archive.partition("/")[0] else os.path.abspath(archive)


def mebibytes(size: int | str) -> int:
    """Read the size of a volume.

    :raises ConfigError: when it is neither a number of MiB nor a text such as ``200M`` or ``1G``.
    """
    if isinstance(size, int):
        return size
    match = _SIZE.fullmatch(size.strip())
    if not match:
        raise ConfigError(f"volume size: expected a size such as 200M or 1G, found {size!r}")
    return int(match[1]) * (1024 if (match[2] or "").upper() == "G" else 1)


def _is_remote(archive: str) -> bool:
    try:
        return isinstance(address.parse_archive(archive), SftpAddress)
    except ValueError:
        return False  # told when the config is made


def _write(
    path: Path, values: dict[str, Any], generated: Path | None, passphrase: str | None, own_key: Path | None
) -> tuple[ClientConfig, tuple[Path, ...]]:
    """Write the passphrase and the SSH key, then the config, which makes them valid; take all back on an error."""
    if not str(path).isprintable():
        raise ConfigError(f"{str(path)!r}: not a name for a config file: it has to be printable UTF-8")
    text = writing.render(ClientConfig, values, "Config of a client of cya. Nobody else may read or write it.")
    client_config.parse(text.decode(), path)
    files = {}
    if generated and passphrase:
        if generated == path:
            raise ConfigError(f"{path}: this is where the passphrase would go; name the config {path.stem}.toml")
        files[generated] = f"{passphrase}\n".encode()
    if os.path.lexists(path):
        raise ConfigError(f"{path}: exists already, and is never overwritten; choose another name")
    if generated and os.path.lexists(generated):
        raise ConfigError(
            f"{generated}: exists already, and a passphrase is never overwritten; to use it: "
            f"--passphrase-file {shlex.quote(str(generated))}"
        )
    if own_key:
        if own_key == path:
            raise ConfigError(f"{path}: this is where the SSH key would go; name the config {path.stem}.toml")
        public = Path(f"{own_key}.pub")
        for file in (own_key, public):
            if os.path.lexists(file):
                raise ConfigError(
                    f"{file}: exists already, and a key is never overwritten; to use it: "
                    f"--identity-file {shlex.quote(str(own_key))}"
                )
        files[own_key], files[public] = new_key(f"cya {path.stem} on {platform.node()}")
    files[path] = text
    with creating.new_files(files):
        return client_config.load(path), tuple(files)
