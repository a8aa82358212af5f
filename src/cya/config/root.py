"""The settings of one root, in ``$ROOT/cya.toml`` on the archive. There are no secrets in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from cya.config import reading, writing
from cya.config.keys import key
from cya.errors import ConfigError
from cya.tree.levels import ALL_LEVELS, DEFAULT_LEVELS, check_levels

FILE = "cya.toml"

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?", re.ASCII)


def _levels(levels: tuple[str, ...]) -> bool:
    check_levels(levels)
    return True


def _zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: "Europe" is a directory
        return False
    return True


def _user(name: str) -> bool:
    return _USER.fullmatch(name) is not None


def _keep(keep: dict[str, int]) -> bool:
    for level, number in keep.items():
        check_levels((level,))
        if number < 1:
            raise ValueError(f"{level} = {number}: expected 1 or more; without {level} all are kept")
    return True


class RootConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one client's backups are kept."""

    levels: Annotated[
        tuple[str, ...],
        key(
            f"a list of one or more of {', '.join(ALL_LEVELS)}, each once, from coarse to fine",
            f"The levels of the tree, from coarse to fine, out of {', '.join(ALL_LEVELS)}. A fresh full backup comes "
            "with every new period of the first.",
            check=_levels,
        ),
    ] = DEFAULT_LEVELS
    week_start: Annotated[
        Literal["sunday", "monday"], key('"sunday" or "monday"', 'The first day of a week: "sunday" or "monday".')
    ] = "sunday"
    timezone: Annotated[
        str,
        key(
            'the name of a time zone, such as "UTC" or "Europe/Berlin"',
            "The time zone in which days, weeks, … begin.",
            check=_zone,
        ),
    ] = "UTC"
    user: Annotated[
        str | None,
        key(
            "the name of a Unix user",
            "The Unix user that the client uploads as. Without it: the one that runs the archive.",
            example="client",
            check=_user,
        ),
    ] = None
    handover: Annotated[
        Literal["marker", "rename"],
        key(
            '"marker" or "rename"',
            'How the client says that it has uploaded everything: "marker", by a list of the files with their '
            'checksums; or "rename", as the client of 2012 does.',
        ),
    ] = "marker"
    commit: Annotated[
        Literal["link", "copy"],
        key(
            '"link" or "copy"',
            'How an upload comes into the tree: "link", by hard links to the files that the client has written; or '
            '"copy", by a copy of them, which shares their blocks where the file system can (btrfs, XFS).',
        ),
    ] = "link"
    index: Annotated[
        bool,
        key(
            "true or false",
            "Whether the client may see in outgoing/index.json which backups there are: times, kinds and levels.",
        ),
    ] = False
    keep: Annotated[
        dict[str, int],
        key(
            "a table of levels and numbers from 1 up, such as { week = 8, month = 12 }",
            "How many periods of a level `cya prune` keeps, the newest; of a level that is not named, all. A period "
            "that holds one that is kept is kept, too: so name all levels from the finest up to that which you want to "
            "limit.",
            example={"week": 8, "month": 24, "year": 10},
            check=_keep,
        ),
    ] = {}
    prune: Annotated[
        bool, key("true or false", "Whether `cya collect` prunes whenever it has committed something.")
    ] = False
    min_age: Annotated[
        int, key("an integer from 0 up (days)", "No period that ended less than so many days ago is pruned.", ge=0)
    ] = 0
    min_backups: Annotated[
        int,
        key("an integer from 1 up", "So many of the newest backups that can be restored are never pruned.", ge=1),
    ] = 3
    max_silence: Annotated[
        int,
        key(
            "an integer from 0 up (days)",
            "Nothing is pruned when the last backup is older than so many days: it may be the client's last. 0: no "
            "limit.",
            ge=0,
        ),
    ] = 14
    keep_refused: Annotated[
        int,
        key("an integer from 0 up (days)", "So long refused uploads are kept, in days, and no more than ten.", ge=0),
    ] = 90
    max_batch: Annotated[
        int, key("an integer from 0 up (MiB)", "A larger upload is refused, in MiB. 0: no limit.", ge=0)
    ] = 0
    max_files: Annotated[
        int, key("an integer from 3 up", "An upload with more files is refused. Each volume is a file.", ge=3)
    ] = 100_000
    reserve: Annotated[
        int,
        key("an integer from 0 up (MiB)", "No upload is asked for while less than this is free, in MiB.", ge=0),
    ] = 0
    reserve_inodes: Annotated[
        int,
        key("an integer from 0 up", "No upload is asked for while fewer inodes than this are free.", ge=0),
    ] = 0


def load(root_dir: Path) -> RootConfig:
    """Read a root's settings; without the file they are the defaults.

    :raises ConfigError: when the file is malformed, unreadable, or can be written by others.
    """
    path = root_dir.absolute() / FILE
    try:
        path.lstat()
    except FileNotFoundError:
        return RootConfig()
    except OSError:
        pass  # Reading it tells why.
    # It has no power outside its own root, so root may read the one of a user who keeps an archive for himself.
    text = reading.read_file(path, forbidden=reading.SHARED, others_own=True)
    return _build(text, path)


def _build(text: str, path: Path) -> RootConfig:
    config = reading.build(RootConfig, reading.parse(text, path), path)
    if foreign := [level for level in config.keep if level not in config.levels]:
        raise ConfigError(
            f"{path}: keep: {foreign[0]} is none of the levels here, which are {', '.join(config.levels)}"
        )
    return config


def dump(config: RootConfig) -> bytes:
    """Write a root's settings, for ``$ROOT/cya.toml``.

    Every value is written, the defaults too: a later version's defaults must not change how a tree is laid out.

    :raises ConfigError: for a value that :func:`load` would refuse.
    """
    data = writing.render(RootConfig, msgspec.structs.asdict(config), "How cya keeps the backups of this root.")
    _build(data.decode(), Path(FILE))
    return data
