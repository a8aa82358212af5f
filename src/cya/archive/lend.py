"""LEND: show a client one chain, to restore from, in ``outgoing/LOAN`` and for a limited time. An administrator's act.

It is built in ``state/``, out of the client's reach, and holds further names of committed files: root's, and read by
the client's group alone. It is written down, given to the client last, and renamed into place.
"""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from cya import clock
from cya.archive import lent, log
from cya.archive.adopt import is_2012
from cya.archive.directories import exists, make, opened, remove
from cya.archive.lendable import Source, let_read, newest, sources
from cya.archive.link import link_or_copy
from cya.archive.outgoing import opened_outgoing
from cya.archive.records import Loan
from cya.archive.return_loan import end, settle
from cya.archive.root import Root, open_root, told
from cya.errors import ArchiveError
from cya.format.times import time_to_name
from cya.tree import layout

_LOAN_MODE = 0o750


@dataclass(frozen=True)
class Lent:
    """What was lent.

    :ivar before: until when the same was lent already, in seconds since the epoch; None: it was not.
    :ivar files, bytes: of the chain.
    :ivar damaged: names of files of which a check has found no good copy.
    """

    root: Path
    loan: Loan
    before: int | None
    files: int
    bytes: int
    damaged: tuple[str, ...]


def lend(path: Path, time: datetime, duration: timedelta, now: datetime) -> Lent:
    """Lend the newest backup that is not after ``time``; what is lent already is lent anew, until then.

    :param now: the archive's clock: the loan ends ``duration`` after it.
    :raises ArchiveError: when there is no such backup, or nobody to lend to, or it cannot be done.
    :raises IntegrityError: when the backup is not whole.
    :raises Locked: when another run is at work on the root.
    """
    moment = int(now.timestamp())
    with told(path):
        if is_2012(path):
            raise ArchiveError(f"{path}: is an archive of the 2012 cya; take it over first: cya collect {path}")
        with open_root(path) as root:
            settle(root, moment)
            if exists(layout.REMOVED, root.state):
                raise ArchiveError(f"{root.path}: its client is removed; restore here: cya restore DEST --from ROOT")
            catalog = root.catalog()
            chain = newest(root, catalog, time)
            files = sources(root, catalog, chain)
            steps = tuple((each.start, each.end) for each in chain.increments)
            until = moment + int(duration.total_seconds())
            loan, before = _lend(root, Loan(_free_name(root, chain.end), steps, moment, until), files, moment)
            log.note(root, moment, "lend", clock.iso(chain.end), loan=loan.name, until=clock.iso(until))
            damaged = tuple(file.name for file in files if file.damaged)
            return Lent(root.path, loan, before, len(files), _bytes(root, loan), damaged)


def _lend(root: Root, new: Loan, files: list[Source], now: int) -> tuple[Loan, int | None]:
    """Make or extend a loan; return it, and until when it was lent before."""
    loans = lent.known(root)
    old = next((loan for loan in loans if loan.chain == new.chain), None)
    if old is not None and not _holds(root, old, files):
        end(root, old, "some of it is missing there", now)
        loans, old = lent.known(root), None
    if old is not None:
        extended = msgspec.structs.replace(new, name=old.name)
        lent.write_down(root, [extended if loan == old else loan for loan in loans])
        lent.renew_note(root, extended)
        return extended, old.expires
    try:
        _build(root, new, files)
    except BaseException:
        with suppress(OSError):  # on a full disk half a loan of copies would keep it full
            remove(layout.LENDING, root.state)
        raise
    lent.write_down(root, [*loans, new])
    with opened_outgoing(root) as outgoing:
        os.rename(layout.LENDING, new.name, src_dir_fd=root.state, dst_dir_fd=outgoing)
        os.fsync(root.state)
        os.fsync(outgoing)
    return new, None


def _build(root: Root, loan: Loan, files: list[Source]) -> None:
    _, gid = root.uploader
    make(layout.LENDING, root.state, 0o700)
    with opened(layout.LENDING, root.state) as new:
        for period, group in itertools.groupby(files, key=lambda file: file.period):
            with opened(layout.files_of(period), root.backups) as source:
                for file in group:
                    let_read(file.name, source, gid)
                    link_or_copy(file.name, source, new)
        lent.put_note(root, loan, new)
        os.fsync(new)
        if os.geteuid() == 0:
            os.fchown(new, 0, gid)
        os.fchmod(new, _LOAN_MODE)
        os.fsync(new)


def _holds(root: Root, loan: Loan, files: list[Source]) -> bool:
    with opened(f"{layout.OUTGOING}/{loan.name}", root.top) as fd:
        return {file.name for file in files} <= set(os.listdir(fd))


def _free_name(root: Root, end_time: int) -> str:
    """Return a name that nothing in ``outgoing/`` has: the time of the backup, or that with a number behind."""
    stamp = time_to_name(end_time).decode()
    names = itertools.chain([stamp], (f"{stamp}-{number}" for number in itertools.count(2)))
    with opened_outgoing(root) as outgoing:
        return next(name for name in names if not exists(name, outgoing))


def _bytes(root: Root, loan: Loan) -> int:
    with opened(f"{layout.OUTGOING}/{loan.name}", root.top) as fd, os.scandir(fd) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries if entry.name != layout.LOAN_NOTE)
