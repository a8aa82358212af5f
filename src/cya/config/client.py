"""The client's config: what is backed up, to where, and how it is encrypted.

It names programs to run and files with secrets, so nobody but its owner may read or write it.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cya.config import address, reading
from cya.config.address import SftpAddress
from cya.config.dumps import DumpConfig, what_is_wrong
from cya.config.encryption import EncryptionConfig, is_one_kind
from cya.config.hooks import HooksConfig
from cya.config.keys import key
from cya.config.metadata import MetadataConfig
from cya.config.passphrase import read_passphrase_file
from cya.config.selection import SelectionConfig
from cya.config.sftp import SftpConfig
from cya.config.snapshot import SnapshotConfig
from cya.config.writing import bare_or_quoted
from cya.errors import ConfigError


def _absolute(path: Path) -> bool:
    return path.is_absolute() and ".." not in path.parts and "\0" not in str(path)


def _archive(text: str) -> bool:
    return bool(address.parse_archive(text))


def _program(name: str) -> bool:
    return name.isprintable() and (name.startswith("/") or re.fullmatch(r"\w[\w.+-]*", name) is not None)


class ClientConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A client's config. ``path`` is the file it was read from, absolute, with symbolic links as they were given."""

    path: Path
    source: Annotated[
        Path, key("an absolute directory", "The directory that is backed up.", example="/", check=_absolute)
    ]
    archive: Annotated[
        str,
        key(
            address.EXPECTED,
            "Where backups go: a directory of this host, or an account on an archive host, sftp://USER@HOST:PORT.",
            example="/mnt/backup/client",
            check=_archive,
        ),
    ]
    engine: Annotated[
        Literal["native", "duplicity"],
        key(
            '"native" or "duplicity"',
            'What makes backups: "native", cya itself, or "duplicity", the stock program, which is slower. Both write '
            "the same format; change it whenever you like.",
        ),
    ] = "native"
    duplicity: Annotated[
        str,
        key(
            "the name of a program in PATH, or its absolute path",
            "The stock program, which reads backups, and makes them if it is the engine: a name that is looked up in "
            "PATH, or an absolute path.",
            check=_program,
        ),
    ] = "duplicity"
    volume_size: Annotated[
        int,
        key(
            "an integer from 1 to 100000 (MiB)",
            "Size of a volume in MiB. That much is sent again when a connection breaks. With an archive on another "
            "host, the cache needs room for four volumes.",
            ge=1,
            le=100_000,
        ),
    ] = 200
    cache_dir: Annotated[
        Path,
        key(
            "an absolute directory",
            "What may be deleted at any time, at the cost of fetching it again; with recipients whose secret key is "
            "not here, at the cost of a new full (cya backup --full). Without this key it is "
            "/var/cache/cya/NAME for root and ~/.cache/cya/NAME for others, NAME being this file's without .toml.",
            example="/var/cache/cya/client",
            check=_absolute,
        ),
    ]
    gnupg_home: Annotated[
        Path | None,
        key(
            "an absolute directory",
            "Where gpg keeps its keys, if not ~/.gnupg.",
            example="/root/.gnupg",
            check=_absolute,
        ),
    ] = None
    encryption: Annotated[
        EncryptionConfig,
        key(
            "exactly one of passphrase_file, recipients, and none = true (recipients may have a passphrase_file and a "
            "sign_key too, and that former_sign_keys)",
            "Encryption: exactly one of passphrase_file, recipients, and none = true. It has to stay what it was "
            "when a chain began.",
            check=is_one_kind,
        ),
    ]
    sftp: Annotated[SftpConfig, key("a table", "How an archive on another host is reached.")] = msgspec.field(
        default_factory=SftpConfig
    )
    selection: Annotated[
        SelectionConfig, key("a table", "What of the source is backed up. Without any of these keys: everything.")
    ] = msgspec.field(default_factory=SelectionConfig)

    metadata: Annotated[
        MetadataConfig, key("a table", "What is kept of files beside content, owner, mode and time.")
    ] = msgspec.field(default_factory=MetadataConfig)

    snapshot: Annotated[
        SnapshotConfig, key("a table", "A snapshot of the source, so that it is read as it is at one moment.")
    ] = msgspec.field(default_factory=SnapshotConfig)

    hooks: Annotated[HooksConfig, key("a table", "Commands that are run around a backup.")] = msgspec.field(
        default_factory=HooksConfig
    )

    dumps: Annotated[
        dict[str, DumpConfig],
        key(
            "tables [dumps.NAME], each with the key kind",
            "Databases that are dumped into the backup, each as the file .dumps/NAME.sql (what a command of your own "
            "writes as .dumps/NAME); nothing of it is written to a disk here. If one fails, there is no backup. The "
            'kind is "postgresql", "mysql", "sqlite" or "command". Needs the engine "native".',
            example={"kind": "postgresql", "database": "shop"},
        ),
    ] = msgspec.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The config's name, which tells this backup from others of the same host."""
        return self.path.stem

    @property
    def location(self) -> Path | SftpAddress:
        """Where the archive is: a directory of this host, or an account on another."""
        return address.parse_archive(self.archive)


def load(path: Path, *, environ: Mapping[str, str] = os.environ) -> ClientConfig:
    """Read a client's config, and check the passphrase file that it names.

    :raises ConfigError: when either file is missing, malformed, or open to others.
    """
    path = path.absolute()
    text = reading.read_file(path, forbidden=reading.SECRET, if_missing=f"make one: cya init --config {path}")
    config = parse(text, path, environ=environ)
    read_passphrase(config)
    return config


def parse(text: str, path: Path, *, environ: Mapping[str, str] = os.environ) -> ClientConfig:
    """Make a config of a file's text, without looking at any other file.

    :param path: the file, absolute.
    :raises ConfigError: when it is malformed.
    """
    table = reading.parse(text, path)
    computed = {} if "cache_dir" in table else {"cache_dir": default_cache_dir(path, environ)}
    config = reading.build(ClientConfig, table, path, given={"path": path, **computed})
    place = config.location
    if isinstance(place, Path) and (place == config.source or config.source.is_relative_to(place)):
        raise ConfigError(f"{path}: archive: {place} is or holds the source {config.source}, and would back itself up")
    for name, dump in config.dumps.items():
        if wrong := what_is_wrong(name, dump):
            raise ConfigError(f"{path}: dumps.{bare_or_quoted(name)}: {wrong}")
    if config.dumps and config.engine != "native":
        raise ConfigError(f'{path}: dumps: stock duplicity cannot take them in; set engine = "native"')
    if file := config.encryption.passphrase_file:
        encryption = msgspec.structs.replace(config.encryption, passphrase_file=path.parent / file)
        config = msgspec.structs.replace(config, encryption=encryption)
    if file := config.sftp.identity_file:
        config = msgspec.structs.replace(
            config, sftp=msgspec.structs.replace(config.sftp, identity_file=path.parent / file)
        )
    return config


def read_passphrase(config: ClientConfig) -> str | None:
    """Read the passphrase, or None where the config names no file for it.

    :raises ConfigError: when the file is missing, malformed, or open to others.
    """
    file = config.encryption.passphrase_file
    if file is None:
        return None
    try:
        return read_passphrase_file(file)
    except ConfigError as error:
        raise ConfigError(f"{config.path}: encryption.passphrase_file: {error}") from error


def default_cache_dir(path: Path, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """Return the cache directory of the config at ``path``.

    :param uid: the user; None: the one that runs this.
    :raises ConfigError: when the user has no home directory.
    """
    uid = os.geteuid() if uid is None else uid
    if uid == 0:
        return Path("/var/cache/cya") / path.stem
    for root in (Path(environ.get("XDG_CACHE_HOME", "")), Path(environ.get("HOME", "")) / ".cache"):
        if root.is_absolute():
            return root / "cya" / path.stem
    try:
        return Path(pwd.getpwuid(uid).pw_dir) / ".cache" / "cya" / path.stem
    except KeyError as error:
        raise ConfigError(f"{path}: cache_dir: uid {uid} has no home directory; set cache_dir") from error
