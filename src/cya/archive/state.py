"""Where a root stands, told from nothing but what exists, so that a run can be stopped at any point."""

from __future__ import annotations

from enum import Enum

from cya.archive.directories import exists, opened
from cya.archive.root import Root
from cya.tree import layout


class State(Enum):
    """What exists, and what has to be done next."""

    IDLE = "nothing is served"
    SERVED = "waiting for an upload"
    READY = "an upload is finished"
    TAKEN = "an upload has been taken and is to be checked"
    PLANNED = "an upload has been checked and is to be linked into the tree"
    COMMITTED = "an upload has been committed and is to be tidied up"


def derive(root: Root) -> State:
    """Tell where a root stands. Later states win: whatever else lies about, a plan is gone on with."""
    if exists(layout.COMMITTED, root.state):
        return State.COMMITTED
    if exists(layout.PLAN, root.state):
        return State.PLANNED
    if exists(layout.BATCH, root.intake):
        return State.TAKEN
    if handed_over(root) is not None:
        return State.READY
    return State.SERVED if exists(layout.NEXT, root.incoming) else State.IDLE


def handed_over(root: Root) -> str | None:
    """Return the name in ``incoming/`` of a finished upload: ``next`` with its marker, or a renamed directory."""
    if root.config.handover == "rename" and exists(layout.RENAMED, root.incoming):
        return layout.RENAMED
    try:
        with opened(layout.NEXT, root.incoming) as fd:
            return layout.NEXT if exists(layout.MARKER, fd) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
