"""The end of loans: each collect takes back those that are over, before anything else; an administrator, any of them.

A loan is renamed out of ``outgoing/``, made the archive's alone, deleted, and forgotten. What a run that is killed has
left of that, the next one finishes.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from cya import clock
from cya.archive import lent, log
from cya.archive.directories import exists, opened, remove
from cya.archive.inspect import CLOCK_TOLERANCE
from cya.archive.outgoing import lent_there, opened_outgoing
from cya.archive.records import Loan
from cya.archive.root import Root, open_root, told
from cya.archive.take import seize
from cya.errors import ArchiveError
from cya.tree import layout


def return_loan(path: Path, now: datetime, name: str | None = None) -> list[Loan]:
    """Take back all that is lent of a root, or the loan that is named; return what was.

    :raises ArchiveError: when no loan has this name.
    :raises Locked: when another run is at work on the root.
    """
    moment = int(now.timestamp())
    with told(path), open_root(path) as root:
        settle(root, moment)
        loans = lent.known(root)
        chosen = [loan for loan in loans if name in (None, loan.name)]
        if name is not None and not chosen:
            there = ", ".join(loan.name for loan in loans) or "nothing"
            raise ArchiveError(f"{root.name}: {name} is not lent; lent now: {there}")
        for loan in chosen:
            end(root, loan, "returned", moment)
        return chosen


def settle(root: Root, now: int) -> list[str]:
    """Finish what a run that was killed has left, and take back what is over; return what ended, for people."""
    for name in (layout.LENDING, layout.RETURNED, f".{layout.LOANS}.tmp"):
        if exists(name, root.state):
            remove(name, root.state)
    there = lent_there(root)
    try:
        loans = lent.known(root)
    except ArchiveError:  # until when they were to last is not known any more
        loans = ()
        lent.write_down(root, loans)
    for name in sorted(there - {loan.name for loan in loans}):
        _take_back(root, name)
        log.note(root, now, "return", "it was not written down", loan=name)
    ended = []
    for loan in loans:
        reason = _over(root, loan, now) if loan.name in there else "it is not there any more"
        if reason is None:
            lent.renew_note(root, loan)
        else:
            end(root, loan, reason, now)
            ended.append(f"the loan {loan.name} has ended: {reason}")
    return ended


def end(root: Root, loan: Loan, reason: str, now: int) -> None:
    """Take a loan back, and forget it."""
    with suppress(FileNotFoundError):
        _take_back(root, loan.name)
    log.note(root, now, "return", reason, loan=loan.name)
    lent.write_down(root, (other for other in lent.known(root) if other != loan))


def _take_back(root: Root, name: str) -> None:
    with opened_outgoing(root) as outgoing:
        os.rename(name, layout.RETURNED, src_dir_fd=outgoing, dst_dir_fd=root.state)
        os.fsync(outgoing)
        os.fsync(root.state)
    with suppress(NotADirectoryError), opened(layout.RETURNED, root.state) as fd:
        seize(fd)  # a process of the client may stand in it
    remove(layout.RETURNED, root.state)


def _over(root: Root, loan: Loan, now: int) -> str | None:
    """Tell why a loan is over; None while it is not.

    A clock that was set back behind the time of lending cannot tell how long it has been lent.
    """
    if now >= loan.expires:
        return f"it was lent until {clock.local(loan.expires)}"
    if now < loan.lent - CLOCK_TOLERANCE:
        return f"the clock of the archive stands before {clock.local(loan.lent)}, when it was lent"
    if not _is_the_clients(root, loan.name):
        return "the client is another user or group now"
    return None


def _is_the_clients(root: Root, name: str) -> bool:
    """Tell whether a loan is for the group that the client has now: a group's number may have gone to somebody else."""
    found = os.stat(f"{layout.OUTGOING}/{name}", dir_fd=root.top, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        return False
    if os.geteuid() != 0:
        return True
    try:
        return (found.st_uid, found.st_gid) == (0, root.uploader[1])
    except ArchiveError:
        return False
