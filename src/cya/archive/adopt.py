"""Takes over a root of the 2012 cya as it is: its tree, what it had served, and an upload that waits there.

That one has ``backups/``, ``incoming/`` and ``next_info``, and no ``state/``. Its client may write into ``incoming/``
and hands over by renaming ``next`` to ``finished``; its periods lack the volumes of the chains they began with.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path

from cya.archive import records
from cya.archive.directories import exists, opened
from cya.archive.link import link_or_copy
from cya.archive.records import Served, ServedFile
from cya.archive.root import Root
from cya.catalog import Catalog
from cya.config import root as root_config
from cya.config.root import RootConfig
from cya.durable import write_file
from cya.errors import ArchiveError
from cya.tree import layout, placement
from cya.tree.levels import Period
from cya.tree.placement import Serving


def is_2012(path: Path) -> bool:
    """Tell whether a directory is a root of the 2012 cya that has not been adopted."""
    return all((path / name).exists() for name in (layout.BACKUPS, layout.INCOMING, layout.NEXT_INFO))


def adopt(root: Root) -> int:
    """Adopt a root of the 2012 cya; return how many files its periods were completed with.

    It gets settings of its own. ``next_info`` goes last, so a run that was killed is simply run again.

    :raises ArchiveError: when ``next_info`` is malformed.
    """
    base, leaf = _next_info(root)
    completed = _complete(root)
    catalog = root.catalog()
    records.save(root, layout.SERVED, _served(root, catalog, base, leaf))
    if not exists(root_config.FILE, root.top):
        settings = RootConfig(handover="rename", user=_uploader(root))
        write_file(root_config.FILE, root_config.dump(settings), dir_fd=root.top, mode=0o644)
    os.rename(layout.NEXT_INFO, f"{layout.NEXT_INFO}.2012", src_dir_fd=root.top, dst_dir_fd=root.state)
    os.fsync(root.top)
    os.fsync(root.state)
    return completed


def _next_info(root: Root) -> tuple[Period, Period]:
    try:
        with open(os.open(layout.NEXT_INFO, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=root.top), encoding="utf-8") as file:
            base, leaf = (layout.period_of(line) for line in file.read().splitlines())
        if leaf[: len(base)] != base:
            raise ValueError("the first line is not a part of the second")
    except ValueError as error:
        raise ArchiveError(
            f"{root.path}/{layout.NEXT_INFO}: expected the directories of the base and the leaf, a line each: {error}"
        ) from error
    return base, leaf


def _complete(root: Root) -> int:
    held = {
        directory.period: {increment: frozenset(files.names) for increment, files in directory.sets.items()}
        for directory in root.catalog().directories
    }
    done = 0
    for completion in placement.adopt(held):
        with (
            opened(layout.files_of(completion.source), root.backups) as source,
            opened(layout.files_of(completion.period), root.backups) as destination,
        ):
            for name in completion.names:
                with suppress(FileExistsError):
                    link_or_copy(os.fsdecode(name), source, destination)
                    done += 1
            os.fsync(destination)
    return done


def _served(root: Root, catalog: Catalog, base: Period, leaf: Period) -> Served:
    """What the 2012 cya served: all sigtars and manifests of the base; its newest chain is continued."""
    serving = Serving(leaf)
    files: list[ServedFile] = []
    if catalog.tree.get(base):
        directory = catalog[base]
        if found := directory.chains.chains:
            serving = Serving(leaf, base, found[-1])
        for name in (os.fsdecode(n) for files in directory.sets.values() for n in files.metadata):
            status = (directory.path / name).lstat()
            files.append(ServedFile(name, status.st_ino))
    return Served.of(serving, 0, tuple(files))


def _uploader(root: Root) -> str | None:
    uid = os.fstat(root.incoming).st_uid
    if uid == os.geteuid():
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise ArchiveError(
            f"{root.path}/{layout.INCOMING}: belongs to user {uid}, who is not there; create the user that uploads"
        ) from None
