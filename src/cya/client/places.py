"""Where a client keeps things, and what of that must never be backed up."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cya.config.client import ClientConfig
from cya.errors import ConfigError
from cya.transport.local import LocalNext


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


def excluded(config: ClientConfig) -> tuple[Path, ...]:
    """Return what is always left out: the cache, and an archive on this machine, when they lie within the source.

    Symbolic links are followed first: by which way they are reached does not matter.
    """
    source = config.source.resolve()
    own = [path.resolve() for path in (config.cache_dir, local_archive(config)) if path is not None]
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


def target_of(config: ClientConfig) -> LocalNext:
    """Return where the client uploads to.

    :raises ConfigError: for an archive that this version cannot reach.
    """
    root = local_archive(config)
    if root is None:
        raise ConfigError(f"{config.path}: archive: this version uploads to a directory of this host only")
    if config.source.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"{config.path}: archive: {root} is or holds the source {config.source}")
    return LocalNext(root)
