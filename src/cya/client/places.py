"""Where a client keeps things, and what of that must never be backed up."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from cya.config.client import ClientConfig
from cya.durable import lock
from cya.engine import placing
from cya.engine.scratch import is_scratch
from cya.errors import ConfigError
from cya.transport.account import Account
from cya.transport.local import LocalNext
from cya.transport.protocol import Next
from cya.transport.sftp import SftpNext


def private_cache(config: ClientConfig) -> Path:
    """Return the client's cache directory, made if needed; nobody else may read it, it holds names of files.

    :raises ConfigError: when it cannot be made, is somebody else's, or is readable by others.
    """
    cache = config.cache_dir.resolve()
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = cache.stat()
    except OSError as error:
        raise ConfigError(f"{config.path}: cache_dir: {cache} cannot be made: {error.strerror}") from error
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"{config.path}: cache_dir: {cache} belongs to another user; run as that user, or choose another"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{config.path}: cache_dir: {cache} is open to others; chmod 700 {cache}")
    return cache


def held(config: ClientConfig) -> AbstractContextManager[None]:
    """Keep out whatever else is done with this config and makes or removes something.

    :raises Locked: when another backup with it is running.
    """
    return lock(
        str(private_cache(config) / "backup.lock"), f"{config.source}: another backup with this config is running"
    )


def excluded(config: ClientConfig) -> tuple[Path, ...]:
    """Return what is always left out: the cache, and an archive on this machine, when they lie within the source.

    Symbolic links are followed first: by which way they are reached does not matter.
    """
    source = config.source.resolve()
    own = [path.resolve() for path in (config.cache_dir, local_archive(config)) if path is not None]
    with suppress(OSError):  # what a restore in place works in, or left when it was killed
        own += [source / name for name in os.listdir(source) if is_scratch(name, placing.PREFIX)]
    return tuple(path for path in own if path != source and path.is_relative_to(source))


def local_archive(config: ClientConfig) -> Path | None:
    """Return the archive's root if it is on this machine."""
    return config.location if isinstance(config.location, Path) else None


def own_archive(config: ClientConfig) -> Path | None:
    """Return the archive's root if it is on this machine and belongs to this user, who then collects, too.

    One that belongs to somebody else (often root's) is only uploaded to. One that is missing counts as one's own, so
    that collecting it says what is wrong.
    """
    root = local_archive(config)
    try:
        return root if root is not None and root.stat().st_uid == os.geteuid() else None
    except OSError:
        return root


def target_of(config: ClientConfig) -> Next:
    """Return where the client uploads to. Nothing is looked at or made yet.

    :raises ConfigError: for an archive that holds the source.
    """
    root = local_archive(config)
    if root is None:
        return remote_next(config)
    if config.source.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"{config.path}: archive: {root} is or holds the source {config.source}")
    return LocalNext(root)


def remote_next(config: ClientConfig) -> SftpNext:
    """Return where a client uploads to whose archive is on another host.

    :raises ConfigError: for an archive on this one.
    """
    account = remote_account(config)
    place = account.address
    return SftpNext(account, _shared() / f"{place.user}@{place.host.lower()}:{place.port}.lock")


def remote_account(config: ClientConfig) -> Account:
    """Return the client's account on the archive host.

    :raises ConfigError: for an archive on this one.
    """
    place = config.location
    if isinstance(place, Path):
        raise ConfigError(f"{config.path}: archive: {place} is on this host")
    return Account(place, config.sftp, sftp_home(config))


def sftp_home(config: ClientConfig) -> Path:
    """Return the part of the cache in which ``sftp`` runs."""
    return config.cache_dir.resolve() / "sftp"


def _shared() -> Path:
    """Return a directory for what all configs of this user share, and nobody else can touch: locks of archives.

    Not in a cache, since each config has its own; not in /tmp, where others could take the names first.
    """
    if os.geteuid() == 0:
        return Path("/run/cya")
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir  # not $HOME: cron and a shell may not agree about that
    except KeyError:
        home = "/nonexistent"
    return Path(home) / ".cache" / "cya" / ".locks"
