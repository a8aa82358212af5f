"""SERVED: take back a ``next`` that does not fit any more, unless an upload into it has begun.

So an upload that comes late lies where it was served for, and a client that was away finds what fits today. An upload
that was given up does not keep its place for ever.
"""

from __future__ import annotations

import os
import stat

from cya.archive import log, records
from cya.archive.check.damage import sound
from cya.archive.directories import exists, opened, remove
from cya.archive.inspect import CLOCK_TOLERANCE, Touched, last_change, touched
from cya.archive.plan import still_there
from cya.archive.quarantine import quarantine
from cya.archive.records import Served
from cya.archive.root import Root
from cya.archive.take import give_back, seize, withdraw
from cya.tree import layout
from cya.tree.placement import FUTURE

_UNKNOWN = "this was in incoming/next: an upload that was given up, or something that was not served there"

_GIVEN_UP = 7 * 86400
_QUIET = 2 * 86400
"""An upload is given up when its ``next``, of a period that is over, was served and last changed so long ago."""


def freshen(root: Root, now: int) -> bool:
    """Take ``next`` back if it does not fit; return whether that was done.

    One that is no directory, or not known to have been served, is put into quarantine.
    """
    served = records.find(root, layout.SERVED, Served)
    try:
        with opened(layout.NEXT, root.incoming) as fd:
            if served is not None and _stays(root, served, fd, now):
                return False
            withdraw(root)
            seize(fd)
            if served is not None and _has_upload(root, served, fd, now, touched(fd, served, now)):
                give_back(root, fd)
                return False
    except NotADirectoryError:
        withdraw(root)
    clear_withdrawn(root, now)
    return True


def _stays(root: Root, served: Served, fd: int, now: int) -> bool:
    """Tell whether ``next`` is left as it is: it fits, or an upload has begun."""
    by = touched(fd, served, now)
    if _has_upload(root, served, fd, now, by):
        return True
    return by is Touched.NOT and _fits(root, served, fd, now)


def _has_upload(root: Root, served: Served, fd: int, now: int, by: Touched) -> bool:
    if by is not Touched.BY_CLIENT:
        return False
    is_over = served.serving.leaf != root.calendar.leaf(now)
    return not (is_over and served.time < now - _GIVEN_UP and last_change(fd) < now - _QUIET)


def clear_withdrawn(root: Root, now: int) -> None:
    """Remove a ``next`` that was taken back; what was not just served there is put into quarantine."""
    if not exists(layout.WITHDRAWN, root.intake):
        return
    served = records.find(root, layout.SERVED, Served)
    try:
        with opened(layout.WITHDRAWN, root.intake) as fd:
            known = served is not None and touched(fd, served, now) is Touched.NOT
    except NotADirectoryError:
        known = False
    if known:
        remove(layout.WITHDRAWN, root.intake)
    else:
        slot = quarantine(root, layout.WITHDRAWN, _UNKNOWN, now)
        log.note(root, now, "refuse", _UNKNOWN, quarantine=slot)


def _fits(root: Root, served: Served, fd: int, now: int) -> bool:
    """Tell whether its period is not over, its chain is where it was and sound, and who uploads owns and can use it."""
    serving = served.serving
    found = os.fstat(fd)
    if os.geteuid() == 0 and found.st_uid != root.uploader[0]:
        return False
    if stat.S_IMODE(found.st_mode) & 0o700 != 0o700:  # its owner could neither upload nor, over SFTP, change that
        return False
    if serving.leaf != root.calendar.leaf(now) or served.time > now + CLOCK_TOLERANCE:
        return False
    if serving.chain is not None and serving.chain.end > now + FUTURE:  # made under a clock that ran wild
        return False
    return serving.base is None or still_there(serving, sound(root, root.catalog_of(serving.base)))
