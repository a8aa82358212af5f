"""PLANNED → COMMITTED → IDLE: make the links, pass the commit point, tidy up; or take the plan back."""

from __future__ import annotations

import os
from contextlib import suppress

from cya.archive import log, records
from cya.archive.copying import same_file, temporary_name
from cya.archive.directories import opened, remove
from cya.archive.link import link, source_of
from cya.archive.plan import still_there
from cya.archive.records import Plan, Served
from cya.archive.root import Root
from cya.errors import ArchiveError
from cya.tree import layout
from cya.tree.chain import Increment


def carry_out(root: Root) -> None:
    """Make all links of the plan, and pass the commit point.

    An administrator may have deleted the chain that the increment stands on since the plan was made (the disk was
    full, say). Then the plan is taken back: what is linked of the batch is unlinked, and the batch is checked again.
    """
    plan = records.load(root, layout.PLAN, Plan)
    served = records.find(root, layout.SERVED, Served)
    if plan.start is not None and (served is None or not _stands(root, served)):
        _take_back(root, plan)
        return
    try:
        link(root, plan)
    except FileNotFoundError:  # deleted just now, or a part of the chain that names alone do not miss
        _take_back(root, plan)
        return
    os.rename(layout.PLAN, layout.COMMITTED, src_dir_fd=root.state, dst_dir_fd=root.state)  # the commit point
    os.fsync(root.state)


def _stands(root: Root, served: Served) -> bool:
    base = served.serving.base
    return base is None or still_there(served.serving, root.catalog_of(base))


def tidy(root: Root, now: int) -> Increment | None:
    """Empty the batch and forget what was served; return what was committed, if the record can still be read."""
    plan: Plan | None = None
    with suppress(ArchiveError):
        plan = records.load(root, layout.COMMITTED, Plan)
    if plan is not None:
        _log(root, plan, now)
    remove(layout.BATCH, root.intake)
    remove(layout.COPIED, root.state)
    remove(layout.DEFERRED, root.state)
    remove(layout.SERVED, root.state)  # a next that lies in incoming/ now is none that was served
    os.unlink(layout.COMMITTED, dir_fd=root.state)
    os.fsync(root.state)
    return plan.increment if plan else None


def _log(root: Root, plan: Plan, now: int) -> None:
    new = next(step for step in plan.links if step.source is None)
    size = None
    with suppress(FileNotFoundError), opened(layout.files_of(new.destination), root.backups) as fd:
        size = sum(os.stat(name, dir_fd=fd, follow_symlinks=False).st_size for name in new.names)
    log.note(root, now, "commit", log.shown(plan.increment), leaf=new.period, files=len(new.names), bytes=size)


def _take_back(root: Root, plan: Plan) -> None:
    for step in plan.links:
        if step.source is not None:
            continue
        with (
            suppress(FileNotFoundError),
            source_of(root, step) as batch,
            opened(layout.files_of(step.destination), root.backups) as files,
        ):
            for name in reversed(step.names):
                remove(temporary_name(name), files)
                with suppress(FileNotFoundError):
                    if same_file(name, batch, files):
                        os.unlink(name, dir_fd=files)
            os.fsync(files)
    os.unlink(layout.PLAN, dir_fd=root.state)
    os.fsync(root.state)
