"""The client's config: what is backed up, to where, and how it is encrypted.

It names programs to run and files with secrets, so nobody but its owner may read or write it.
"""

from __future__ import annotations

import base64
import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cya.config import address, reading
from cya.config.address import SftpAddress
from cya.config.keys import key
from cya.config.passphrase import read_passphrase_file
from cya.errors import ConfigError

_KEY_ID = re.compile(r"(0x)?([0-9A-Fa-f]{16}|[0-9A-Fa-f]{40})")
_HOST_KEY = re.compile(
    r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{20,1400}={0,2}(?: [ -~]*)?", re.ASCII
)
_OWN_OPTIONS = (
    *("batchmode", "stricthostkeychecking", "controlmaster", "controlpath", "controlpersist", "port", "user"),
    *("remotecommand", "requesttty", "sessiontype", "stdinnull", "forkafterauthentication"),
)
"""Names of ssh's options, in lower case, that would undo what cya relies on."""


def _absolute(path: Path) -> bool:
    return path.is_absolute() and ".." not in path.parts and "\0" not in str(path)


def _archive(text: str) -> bool:
    return bool(address.parse_archive(text))


def _file(path: Path) -> bool:
    return path != Path() and "\0" not in str(path)


def _key_ids(recipients: tuple[str, ...]) -> bool:
    return all(_KEY_ID.fullmatch(recipient) for recipient in recipients)


def _plain_lines(lines: tuple[str, ...]) -> bool:
    return all(line.strip() and not set("\n\0") & set(line) for line in lines)


def _file_names(names: tuple[str, ...]) -> bool:
    return all(name not in ("", ".", "..") and not set("/\0") & set(name) for name in names)


def _host_key(key: str) -> bool:
    """Whether it is ``TYPE BASE64``, and the type that stands in the base64 is the same."""
    if not _HOST_KEY.fullmatch(key):
        return False
    kind, encoded = key.split(" ")[:2]
    data = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return data[4 : 4 + int.from_bytes(data[:4])] == kind.encode()


def _ssh_options(options: tuple[str, ...]) -> bool:
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not value.strip() or re.fullmatch(r"[A-Za-z]+", name, re.ASCII) is None or "\n" in value:
            return False
        if name.lower() in _OWN_OPTIONS:
            raise ValueError(f"{name} is set by cya itself; leave it out")
    return True


def _program(name: str) -> bool:
    return name.isprintable() and (name.startswith("/") or re.fullmatch(r"\w[\w.+-]*", name) is not None)


class EncryptionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``encryption``: exactly one of the three."""

    passphrase_file: Annotated[
        Path | None,
        key(
            "the name of a file, absolute or relative to the config's directory",
            "A file with the passphrase in one line, mode 0600. A relative name is relative to this file's directory.",
            example="client.passphrase",
            check=_file,
        ),
    ] = None
    recipients: Annotated[
        tuple[str, ...],
        key(
            "a list of gpg key ids or fingerprints, 16 or 40 hexadecimal digits each",
            "Instead of that: the gpg keys that backups are encrypted to, as fingerprints. Then passphrase_file, if "
            "given, holds the passphrase of the secret key; only a restore needs it.",
            example=("0123456789ABCDEF0123456789ABCDEF01234567",),
            check=_key_ids,
        ),
    ] = ()
    none: Annotated[
        bool,
        key(
            "true or false",
            "Instead of both: no encryption. Whoever can read the archive can read every file in it.",
            example=True,
        ),
    ] = False


def _one_kind(encryption: EncryptionConfig) -> bool:
    return encryption.none != bool(encryption.recipients or encryption.passphrase_file)


class SelectionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``selection``."""

    patterns: Annotated[
        tuple[str, ...],
        key(
            "a list of lines of Duplicity's file-list syntax, none empty",
            "Lines of Duplicity's file-list syntax: the first that matches a path decides. '- PATTERN' or PATTERN "
            "alone leaves out, '+ PATTERN' takes; what no line matches is backed up. '- /proc/*' keeps the empty "
            "directory.",
            example=("+ /home/*/keep", "- /home/*/Downloads"),
            check=_plain_lines,
        ),
    ] = ()
    one_file_system: Annotated[bool, key("true or false", "Stay on the file system of the source.")] = False
    exclude_caches: Annotated[
        bool, key("true or false", "Leave out directories that are marked as caches by a file CACHEDIR.TAG.")
    ] = False
    exclude_if_present: Annotated[
        tuple[str, ...],
        key(
            "a list of file names without a slash",
            "Leave out directories that hold a file of one of these names.",
            example=(".nobackup",),
            check=_file_names,
        ),
    ] = ()


class SftpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The table ``sftp``."""

    identity_file: Annotated[
        Path | None,
        key(
            "the name of a file, absolute or relative to the config's directory",
            "The SSH key to log in with, without a passphrase, mode 0600; or the .pub file of one that an agent holds. "
            "A relative name is relative to this file's directory. Without this key: what ssh finds by itself.",
            example="client.key",
            check=_file,
        ),
    ] = None
    host_key: Annotated[
        str | None,
        key(
            "a host key as TYPE BASE64, without the host's name before it",
            "The archive host's public key, as cya add-client prints it: no other host is then taken for the archive. "
            "Without this key: what stands in ~/.ssh/known_hosts.",
            example="ssh-ed25519 AAAA…",
            check=_host_key,
        ),
    ] = None
    rate_limit: Annotated[
        int,
        key(
            "an integer from 0 to 1000000 (KiB/s)",
            "The most that is sent or fetched, in KiB per second; 0: as much as the line takes.",
            ge=0,
            le=1_000_000,
        ),
    ] = 0
    give_up_after: Annotated[
        float,
        key(
            "a number of minutes from 0 to 10000",
            "A connection that breaks is made again, and the volume that was on its way is sent again. When all that "
            "is tried fails for so many minutes, the backup fails, and the next one starts over. The first connection "
            "of a backup is tried for one minute.",
            ge=0,
            le=10_000,
        ),
    ] = 30
    options: Annotated[
        tuple[str, ...],
        key(
            "a list of ssh's options, Name=value each",
            "Further options of ssh, see ssh_config(5). What stands in ~/.ssh/config counts, too.",
            example=("ConnectTimeout=60", "ProxyJump=gate.example"),
            check=_ssh_options,
        ),
    ] = ()


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
            'What makes and reads backups. In this version: "duplicity", the stock program.',
        ),
    ] = "duplicity"
    duplicity: Annotated[
        str,
        key(
            "the name of a program in PATH, or its absolute path",
            'The stock program, for the engine "duplicity": a name that is looked up in PATH, or an absolute path.',
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
            "exactly one of passphrase_file, recipients, and none = true (recipients may have a passphrase_file too)",
            "Encryption: exactly one of passphrase_file, recipients, and none = true. It has to stay what it was "
            "when a chain began.",
            check=_one_kind,
        ),
    ]
    sftp: Annotated[SftpConfig, key("a table", "How an archive on another host is reached.")] = msgspec.field(
        default_factory=SftpConfig
    )
    selection: Annotated[
        SelectionConfig, key("a table", "What of the source is backed up. Without any of these keys: everything.")
    ] = msgspec.field(default_factory=SelectionConfig)

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
