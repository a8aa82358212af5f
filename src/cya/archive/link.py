"""LINK: carry out a plan. Each step can be repeated, so a run that was stopped is simply run again.

Where the file system makes no further hard link, a copy stands in: too many links on one file (EMLINK), links that it
does not know or allow (EPERM), several file systems below ``backups/`` (EXDEV), no room for one more link to this file
(ENOSPC, as on GlusterFS).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import AbstractContextManager, suppress

from cya.archive.copying import copy, same_file, temporary_name
from cya.archive.directories import exists, made_below, opened
from cya.archive.records import Link, Plan
from cya.archive.root import Root
from cya.errors import IntegrityError
from cya.tree import layout


def link(root: Root, plan: Plan) -> None:
    """Make all links of a plan, in its order, each directory on the disk before the next.

    :raises IntegrityError: when another file has a name that is to be linked; nothing is overwritten, ever.
    """
    for step in plan.links:
        with made_below((*step.destination, layout.FILES), root.backups, 0o700) as destination:
            with source_of(root, step) as source:
                _link_names(step.names, source, destination, step.period)
            os.fsync(destination)


def source_of(root: Root, step: Link) -> AbstractContextManager[int]:
    """Open the directory that a step links from."""
    if step.source is None:
        copied = exists(layout.COPIED, root.state)
        return opened(layout.COPIED, root.state) if copied else opened(layout.BATCH, root.intake)
    return opened(layout.files_of(layout.period_of(step.source)), root.backups)


def _link_names(names: tuple[str, ...], source: int, destination: int, period: str) -> None:
    for name in names:
        with suppress(FileNotFoundError):  # a run that was killed may have left it
            os.unlink(temporary_name(name), dir_fd=destination)
        try:
            link_or_copy(name, source, destination)
        except FileExistsError:
            if not same_file(name, source, destination):
                raise IntegrityError(
                    f"{period}/{layout.FILES}/{name} is there and is another file; move it away and collect again"
                ) from None


NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOSPC, errno.EOPNOTSUPP)


def link_or_copy(name: str, source: int, destination: int) -> None:
    """Make ``name`` of one directory a name in another, or else a copy of it with its mode and owner.

    :raises FileExistsError: when the name is taken.
    """
    try:
        os.link(name, name, src_dir_fd=source, dst_dir_fd=destination, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        try:
            found = os.fstat(fd)
            copy(fd, name, destination, stat.S_IMODE(found.st_mode), found.st_gid)
        finally:
            os.close(fd)
