"""TAKE and SEIZE: move what lies in ``incoming/`` out of the client's reach.

Plain renames: ``state/`` belongs to the archive and the root is locked, so nothing can be in the way.
"""

from __future__ import annotations

import os

from cya.archive.attributes import drop_acls
from cya.archive.root import Root
from cya.tree import layout


def take(root: Root, name: str) -> None:
    """Move the finished upload ``incoming/NAME`` to ``state/batch``."""
    _move(root, name, layout.BATCH)


def withdraw(root: Root) -> None:
    """Move ``incoming/next``, which nothing has been uploaded into, to ``state/withdrawn``."""
    _move(root, layout.NEXT, layout.WITHDRAWN)


def give_back(root: Root, fd: int) -> None:
    """Undo :func:`withdraw` and :func:`seize`: something was uploaded in the very moment."""
    if os.geteuid() == 0:
        os.fchown(fd, *root.uploader)
    os.rename(layout.WITHDRAWN, layout.NEXT, src_dir_fd=root.intake, dst_dir_fd=root.incoming)


def _move(root: Root, name: str, to: str) -> None:
    os.rename(name, to, src_dir_fd=root.incoming, dst_dir_fd=root.intake)
    os.fsync(root.incoming)
    os.fsync(root.intake)


def seize(fd: int) -> None:
    """Make a taken directory itself the archive's: a process that still stands in it loses it."""
    if os.geteuid() == 0:
        os.fchown(fd, 0, 0)
    os.fchmod(fd, 0o700)
    drop_acls(fd)
