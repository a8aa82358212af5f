"""Makes an archive root."""

from __future__ import annotations

import os
from pathlib import Path

from cya.archive.directories import make, opened
from cya.archive.root import DIRECTORY_MODES, check_owner, told
from cya.config import root as root_config
from cya.config.root import RootConfig
from cya.durable import write_file
from cya.errors import ArchiveError
from cya.tree import layout


def init_archive(path: Path, config: RootConfig) -> None:
    """Make a root with its settings, or make a root whole whose directories are missing.

    :param path: a directory that does not exist yet, or is empty, or is a root already.
    :raises ArchiveError: when something else is there, or a root with other settings, or it cannot be made.
    """
    with told(path):
        path = path.resolve()
        if path.exists() and not path.is_dir():
            raise ArchiveError(f"{path}: not a directory")
        if (path / layout.NEXT_INFO).exists():
            raise ArchiveError(f"{path}: is an archive of the 2012 cya; take it over: cya collect {path}")
        is_root = (path / layout.BACKUPS).exists() or (path / root_config.FILE).exists()
        if is_root and root_config.load(path) != config and all((path / name).is_dir() for name in DIRECTORY_MODES):
            raise ArchiveError(f"{path}: is an archive root already, with other settings: {path / root_config.FILE}")
        if not is_root and path.exists() and (found := [name for name in os.listdir(path) if name not in _OURS]):
            raise ArchiveError(f"{path}: is not empty ({found[0]!r} is in it); give a new directory")
        path.mkdir(parents=True, exist_ok=True)
        with opened(path) as top:
            check_owner(path, os.fstat(top).st_uid)
            os.fchmod(top, 0o755)
            if not (path / root_config.FILE).exists():
                write_file(root_config.FILE, root_config.dump(config), dir_fd=top, mode=0o644)
        make_directories(path)


def make_directories(path: Path) -> None:
    """Make a root's directories where they are missing, ``backups/`` last: only then is it a root."""
    with told(path), opened(path.resolve()) as top:
        check_owner(path, os.fstat(top).st_uid)
        for name, mode in DIRECTORY_MODES.items():
            make(name, top, mode)


_OURS = {*DIRECTORY_MODES, root_config.FILE, f".{root_config.FILE}.tmp", "lost+found"}
"""What a run that was killed in the middle of making a root may have left, and what a new file system holds."""
