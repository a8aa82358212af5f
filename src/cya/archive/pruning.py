"""Deletes what does not stay. A run that is stopped anywhere leaves whole directories, and what the next one removes.

A directory of the tree is renamed to ``state/pruned``, and only then emptied. Of a directory that stays, what is left
is linked together in ``state/trimmed`` and changes places with its ``files/``. ``pruning.json`` is written before all
that and removed after it; last of all the ledger forgets what lies nowhere any more.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cya import renaming
from cya.archive import ledger, log, records
from cya.archive.directories import exists, make, opened, remove
from cya.archive.link import NO_LINK
from cya.archive.records import Pruning
from cya.archive.root import Root
from cya.catalog import Catalog
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.levels import Period
from cya.tree.retention import Retention, Verdict


def carry_out(root: Root, decided: Retention, catalog: Catalog, now: int) -> None:
    """Delete what goes, the finest first.

    :param now: seconds since the epoch, for the log.
    """
    going = decided.going
    gone = {increment for verdict in going for increment in _increments(verdict, catalog)}
    record = Pruning(tuple((i.start, i.end) for i in sorted(gone, key=lambda i: i.end)))
    with _suppress_full():  # then there is no room to write down what is to make room
        records.save(root, layout.PRUNING, record)
    for verdict in going:
        if verdict.chain is None:
            _withdraw(root, verdict.period[:-1], verdict.period[-1])
        elif not _trim(root, verdict, catalog, record):
            continue
        log.note(root, now, "prune", layout.directory(verdict.period), chain=_chain(verdict), reason=verdict.reason)
    _finish(root, record)


def finish(root: Root) -> None:
    """Finish what a run that was stopped has begun."""
    _finish(root, records.find(root, layout.PRUNING, Pruning))


def _finish(root: Root, record: Pruning | None) -> None:
    if record is not None and record.trimming is not None:
        _put_in_place(root, layout.period_of(record.trimming))
    for name in (layout.TRIMMED, layout.PRUNED):
        if exists(name, root.state):
            remove(name, root.state)
    if record is not None:
        there = root.catalog().holding
        ledger.forget(root, (increment for increment in record.increments if increment not in there))
        with suppress(FileNotFoundError):
            os.unlink(layout.PRUNING, dir_fd=root.state)
        os.fsync(root.state)


@contextmanager
def _suppress_full() -> Iterator[None]:
    """Go on where the disk, or the quota, is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def _increments(verdict: Verdict, catalog: Catalog) -> tuple[Increment, ...]:
    """Return what lies in what goes; in periods within it, too."""
    if verdict.chain is not None:
        return verdict.chain.increments
    depth = len(verdict.period)
    return tuple(i for d in catalog.directories if d.period[:depth] == verdict.period for i in d.sets)


def _withdraw(root: Root, within: Period, name: str) -> None:
    """Take a directory out of the tree by one step, and delete it."""
    with opened(_path(within), root.backups) as parent:
        os.rename(name, layout.PRUNED, src_dir_fd=parent, dst_dir_fd=root.state)
        os.fsync(root.state)  # else, after a power cut, it could be back and empty
        os.fsync(parent)
        remove(layout.PRUNED, root.state)


def _trim(root: Root, verdict: Verdict, catalog: Catalog, record: Pruning) -> bool:
    """Put a directory without one of its chains in the place of the one with it; False where that cannot be done.

    It is linked and swapped, since a chain has many files: whoever looks sees all of it or nothing.
    """
    sets = catalog[verdict.period].sets
    going = {name for increment in verdict.chain.increments for name in sets[increment].names} if verdict.chain else ()
    try:
        make(layout.TRIMMED, root.state, 0o700)
        with opened(layout.files_of(verdict.period), root.backups) as files, opened(layout.TRIMMED, root.state) as fd:
            for name in sorted(set(map(os.fsencode, os.listdir(files))).difference(going)):
                os.link(name, name, src_dir_fd=files, dst_dir_fd=fd, follow_symlinks=False)
            os.fsync(fd)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        remove(layout.TRIMMED, root.state)
        return False
    _swap(root, verdict.period, record)
    return True


def _swap(root: Root, period: Period, record: Pruning) -> None:
    """Put ``state/trimmed`` in the place of a directory's files, in one step where the file system can do that."""
    with opened(_path(period), root.backups) as parent:
        if renaming.exchange(layout.TRIMMED, root.state, layout.FILES, parent):
            os.fsync(parent)
            os.fsync(root.state)
            remove(layout.TRIMMED, root.state)
            return
    records.save(root, layout.PRUNING, Pruning(record.forget, layout.directory(period)))
    _withdraw(root, period, layout.FILES)
    _put_in_place(root, period)


def _put_in_place(root: Root, period: Period) -> None:
    with suppress(FileNotFoundError), opened(_path(period), root.backups) as parent:
        if exists(layout.TRIMMED, root.state) and not exists(layout.FILES, parent):
            os.rename(layout.TRIMMED, layout.FILES, src_dir_fd=root.state, dst_dir_fd=parent)
            os.fsync(parent)
            os.fsync(root.state)


def _path(period: Period) -> str:
    return layout.directory(period) or "."


def _chain(verdict: Verdict) -> str | None:
    return log.shown(verdict.chain.increments[0]).replace(" ", "-") if verdict.chain else None
