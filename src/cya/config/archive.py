"""An archive host's config: which roots there are."""

from __future__ import annotations

import glob
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from cya import clock
from cya.config import reading, writing
from cya.config.hooks import ArchiveHooksConfig
from cya.config.keys import key
from cya.errors import ConfigError, UsageError

STANDARD = Path("/etc/cya/archive.toml")
"""Where verbs that need an archive host's config look for it when they are not told."""

MAX_AGE = "36h"
"""The default of ``max_age``: a daily backup may be half a day late."""

_PLAIN = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+", re.ASCII)
_AGE = re.compile(r"([0-9]+[smhDWMY])+", re.ASCII)


def _absolute(patterns: tuple[str, ...]) -> bool:
    return bool(patterns) and all(pattern.startswith("/") and "\0" not in pattern for pattern in patterns)


def _plain(path: str) -> bool:
    return _PLAIN.fullmatch(path) is not None


def _age(text: str) -> bool:
    parse_age(text)
    return True


class ArchiveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An archive host's config. ``path`` is the file it was read from."""

    path: Path
    roots: Annotated[
        tuple[str, ...],
        key(
            'a list of one or more absolute directories or patterns such as "/srv/cya/*"',
            "The roots of all clients: directories, or patterns with *, ? and [].",
            example=("/srv/cya/*",),
            check=_absolute,
        ),
    ]
    base: Annotated[
        str,
        key(
            "an absolute directory of plain names (letters, digits, . _ -)",
            "Where `cya add-client NAME` makes the root of a new client: BASE/NAME. It and all above it must belong to "
            "root. One of the roots above must stand for it.",
            check=_plain,
        ),
    ] = "/srv/cya"
    sshd_port: Annotated[int, key("a port from 1 to 65535", "The port of the archive's own sshd.", ge=1, le=65535)] = (
        2222
    )
    sshd_dir: Annotated[
        str,
        key(
            "an absolute directory of plain names (letters, digits, . _ -)",
            "Where that sshd has its config, its host key and the clients' keys.",
            check=_plain,
        ),
    ] = "/etc/cya/sshd"
    max_age: Annotated[
        str,
        key(
            'an age such as "36h", "2D" or "1W"',
            "How old a client's last backup may be before `cya status` calls it overdue, in s, m, h, D, W, M or Y.",
            check=_age,
        ),
    ] = MAX_AGE
    hooks: Annotated[
        ArchiveHooksConfig, key("a table", "Commands that `cya collect --config` runs when something has happened.")
    ] = msgspec.field(default_factory=ArchiveHooksConfig)


def load(path: Path) -> ArchiveConfig:
    """Read an archive host's config.

    :raises ConfigError: when it is missing, malformed, or can be written by others.
    """
    path = path.absolute()
    missing = "`cya add-client` makes one; or name another with --config"
    text = reading.read_file(path, forbidden=reading.SHARED, if_missing=missing)
    return reading.build(ArchiveConfig, reading.parse(text, path), path, given={"path": path})


def standard() -> bytes:
    """Return the config of an archive host with every default, for a new file."""
    return writing.render(ArchiveConfig, {"roots": ("/srv/cya/*",)}, "Config of an archive host of cya.")


def parse_age(text: str) -> timedelta:
    """Read an age such as ``36h``.

    :raises ValueError: when it is none.
    """
    moment = datetime(2000, 1, 1, tzinfo=UTC)
    try:
        if not _AGE.fullmatch(text):
            raise UsageError
        return moment - clock.parse(text, moment)
    except UsageError as error:
        raise ValueError(f'expected an age such as "36h", "2D" or "1W", found {text!r}') from error


def expand(config: ArchiveConfig) -> list[Path]:
    """Return the directories that the patterns stand for now, sorted, each once.

    :raises ConfigError: when a directory that is named without a wildcard is not there.
    """
    found: set[Path] = set()
    for pattern in config.roots:
        if glob.has_magic(pattern):
            # lost+found stands at the top of an ext4 that is mounted there.
            found.update(
                path for path in map(Path, glob.glob(pattern)) if os.path.isdir(path) and path.name != "lost+found"
            )
        elif os.path.isdir(pattern):
            found.add(Path(pattern))
        else:
            reason = "is not a directory" if os.path.lexists(pattern) else "does not exist"
            raise ConfigError(f"{config.path}: roots: {pattern} {reason}; make the root, or take it out of the list")
    return sorted(found)
