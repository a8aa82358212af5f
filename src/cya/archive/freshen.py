"""SERVED: take back a ``next`` that does not fit any more, unless something has been uploaded into it.

So an upload that comes late lies where it was served for, and a client that was away finds what fits today.
"""

from __future__ import annotations

import os

from cya.archive import records
from cya.archive.check.damage import sound
from cya.archive.directories import exists, opened, remove
from cya.archive.inspect import Touched, touched
from cya.archive.plan import still_there
from cya.archive.quarantine import quarantine
from cya.archive.records import Served
from cya.archive.root import Root
from cya.archive.take import give_back, seize, withdraw
from cya.tree import layout

_UNKNOWN = "this was in incoming/next, and it is not what was served there"


def freshen(root: Root, now: int) -> bool:
    """Take ``next`` back if it does not fit; return whether that was done.

    One that is no directory, or not known to have been served, is put into quarantine.
    """
    served = records.find(root, layout.SERVED, Served)
    try:
        with opened(layout.NEXT, root.incoming) as fd:
            state = Touched.BY_OTHERS if served is None else touched(fd, served)
            if state is Touched.BY_CLIENT or (state is Touched.NOT and served and _fits(root, served, fd, now)):
                return False
            withdraw(root)
            seize(fd)
            if served is not None and touched(fd, served) is Touched.BY_CLIENT:
                give_back(root, fd)
                return False
    except NotADirectoryError:
        withdraw(root)
    clear_withdrawn(root, now)
    return True


def clear_withdrawn(root: Root, now: int) -> None:
    """Remove a ``next`` that was taken back; what was not just served there is put into quarantine."""
    if not exists(layout.WITHDRAWN, root.state):
        return
    served = records.find(root, layout.SERVED, Served)
    try:
        with opened(layout.WITHDRAWN, root.state) as fd:
            known = served is not None and touched(fd, served) is Touched.NOT
    except NotADirectoryError:
        known = False
    if known:
        remove(layout.WITHDRAWN, root.state)
    else:
        quarantine(root, layout.WITHDRAWN, _UNKNOWN, now)


def _fits(root: Root, served: Served, fd: int, now: int) -> bool:
    """Tell whether its period is not over, its chain is where it was and sound, and it belongs to who uploads."""
    serving = served.serving
    if os.geteuid() == 0 and os.fstat(fd).st_uid != root.uploader[0]:
        return False
    catalog = sound(root, root.catalog_above(serving.leaf))
    return serving.leaf == root.calendar.leaf(now) and still_there(serving, catalog)
