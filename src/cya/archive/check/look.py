"""Looks at a root as it is: its tree, its ledger, and what else has names for committed files. Nothing is changed.

No lock is held. What a collect is linking is told from its plan; that two looks agree is up to the caller.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from cya.archive import records
from cya.archive.check import ledger
from cya.archive.check.tree import Entry, Inode, Look, Place
from cya.archive.directories import exists, opened
from cya.archive.records import Plan, Pruning
from cya.archive.root import Root
from cya.format.collection import collect
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.levels import Calendar, Period

_DEEPEST = 8
"""How deep names are looked for beside the tree. A client can make directories as deep as it likes in its ``next``."""


def look(root: Root) -> Look:
    """Read everything that a check of the structure needs.

    :raises OSError: when something cannot be read for another reason than that it is gone.
    """
    before, waiting = planned(root), pending(root)
    places = {place.period: place for place in _walk(root.backups, (), root.calendar)}
    inodes = {entry.inode for place in places.values() for entry in place.files.values() if entry.nlink > 1}
    elsewhere: Counter[Inode] = Counter()
    for name in (layout.INCOMING, layout.OUTGOING, layout.STATE):
        with suppress(FileNotFoundError), opened(name, root.top) as fd:
            _count(fd, inodes, elsewhere, _DEEPEST)
    for period, names in planned(root).items():
        before[period] = before.get(period, frozenset()) | names
    entries, foreign = ledger.read(root)
    return Look(places, elsewhere, before, waiting | pending(root), entries, foreign)


def planned(root: Root) -> dict[Period, frozenset[bytes]]:
    """Return the names that a commit, or a prune that was stopped, is about to put in place, by period."""
    plan = records.find(root, layout.PLAN, Plan)
    names: dict[Period, frozenset[bytes]] = {}
    for link in plan.links if plan is not None else ():
        names[link.destination] = names.get(link.destination, frozenset()) | {n.encode() for n in link.names}
    pruning = records.find(root, layout.PRUNING, Pruning)
    if pruning is not None and pruning.trimming is not None:
        with suppress(FileNotFoundError), opened(layout.TRIMMED, root.state) as fd:
            period = layout.period_of(pruning.trimming)
            names[period] = names.get(period, frozenset()) | set(map(os.fsencode, os.listdir(fd)))
    return names


def pending(root: Root) -> frozenset[Increment]:
    """Return the increments of which files lie in ``state/batch`` or in quarantine."""
    slots = [layout.BATCH]
    with suppress(FileNotFoundError), opened(layout.QUARANTINE, root.state) as fd:
        slots += [f"{layout.QUARANTINE}/{slot}/{layout.FILES}" for slot in os.listdir(fd)]
    found: set[Increment] = set()
    for slot in slots:
        with suppress(FileNotFoundError, NotADirectoryError), opened(slot, root.state) as fd:
            sets = collect(map(os.fsencode, os.listdir(fd))).sets
            found.update(Increment(files.start, files.end) for files in sets)
    return frozenset(found)


def token(root: Root) -> tuple[int, bool]:
    """Return what changes whenever a collect or a prune has been at work in the tree."""
    busy = exists(layout.PLAN, root.state) or exists(layout.PRUNING, root.state)
    return os.fstat(root.state).st_mtime_ns, busy


def entry_of(found: os.stat_result) -> Entry:
    """Return what a check needs of an ``lstat``."""
    return Entry(
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        nlink=found.st_nlink,
        size=found.st_size,
        inode=(found.st_dev, found.st_ino),
        mtime=found.st_mtime_ns,
    )


def _list(fd: int) -> Iterator[tuple[bytes, Entry]]:
    """Yield what lies in a directory, sorted. What vanishes in between is not there."""
    for name in sorted(map(os.fsencode, os.listdir(fd))):
        with suppress(FileNotFoundError):
            yield name, entry_of(os.stat(name, dir_fd=fd, follow_symlinks=False))


def _walk(fd: int, period: Period, calendar: Calendar) -> Iterator[Place]:
    files_entry, files, foreign = None, {}, []
    for name, entry in _list(fd):
        inner = (*period, os.fsdecode(name))
        is_directory = stat.S_ISDIR(entry.mode)
        try:
            if name == layout.FILES.encode() and period and is_directory:
                with opened(name, fd) as files_fd:
                    files_entry, files = entry, dict(_list(files_fd))
            elif is_directory and calendar.has(inner):
                with opened(name, fd) as inner_fd:
                    yield from _walk(inner_fd, inner, calendar)
            else:
                foreign.append(os.fsdecode(name))
        except FileNotFoundError:
            continue
    yield Place(period, entry_of(os.fstat(fd)), files_entry, files, tuple(foreign))


def _count(fd: int, inodes: set[Inode], found: Counter[Inode], depth: int) -> None:
    """Count names of ``inodes`` below a directory. Clients may change it meanwhile: nothing here may fail for that."""
    with os.scandir(fd) as entries:
        for each in entries:
            with suppress(OSError):
                status = each.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    if depth and each.name != layout.LEDGER:
                        with opened(each.name, fd) as inner:
                            _count(inner, inodes, found, depth - 1)
                elif (inode := (status.st_dev, status.st_ino)) in inodes:
                    found[inode] += 1
