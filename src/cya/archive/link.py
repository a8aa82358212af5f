"""LINK: carry out a plan. Each step can be repeated, so a run that was stopped is simply run again."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from cya.archive.directories import made_below, opened
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
        return opened(layout.BATCH, root.state)
    return opened(layout.files_of(layout.period_of(step.source)), root.backups)


def _link_names(names: tuple[str, ...], source: int, destination: int, period: str) -> None:
    for name in names:
        try:
            os.link(name, name, src_dir_fd=source, dst_dir_fd=destination, follow_symlinks=False)
        except FileExistsError:
            here = os.stat(name, dir_fd=destination, follow_symlinks=False)
            there = os.stat(name, dir_fd=source, follow_symlinks=False)
            if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
                raise IntegrityError(
                    f"{period}/{layout.FILES}/{name} is there and is another file; move it away and collect again"
                ) from None
