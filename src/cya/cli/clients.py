"""How verbs of the archive host take a client: by its name, or by its root."""

from __future__ import annotations

from pathlib import Path

from cya.config import archive as archive_config
from cya.config.archive import STANDARD
from cya.errors import ConfigError


def root_of(name: str, config: Path | None) -> Path:
    """Return a client's root: a path that has a slash in it, or else the root of that name in the archive's config.

    :param config: the archive host's config; None: the standard one.
    :raises ConfigError: when no root, or more than one, has this name.
    """
    if "/" in name:
        return Path(name)
    file = config or STANDARD
    if config is None and not file.exists():
        raise ConfigError(
            f"{name}: there is no {file} to look it up in; give --config FILE, or the root: a path with /"
        )
    roots = archive_config.expand(archive_config.load(file))
    found = [root for root in roots if root.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{file}: roots: {len(found)} of them are called {name}; give one as a path: {found[0]}")
    names = ", ".join(root.name for root in roots) or "none"
    raise ConfigError(f"{file}: no root there is called {name} (there: {names}); a root that is not there is a path")


def all_roots(config: Path | None) -> list[Path]:
    """Return the roots of all clients in the archive's config."""
    return archive_config.expand(archive_config.load(config or STANDARD))
