"""The order in which a run reads: what is known to be damaged, then what was read longest ago; until time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cya.archive import ledger
from cya.archive.check import damage
from cya.archive.check import record as stored
from cya.archive.check.complete import expected_names
from cya.archive.check.hashes import Item, Reading, items, read
from cya.archive.check.record import Begun, Checked
from cya.archive.check.tree import Held, Look, Rules, held
from cya.archive.root import Root
from cya.tree.chain import Increment

SAVE_EVERY = 60.0
"""Seconds of reading after which the record is written: so much is lost at most when a run is killed."""


@dataclass
class Progress:
    """What a run has read.

    :ivar whole: increments of which every file was read, by this run or by this and earlier ones.
    :ivar unread: those that there was no time for.
    :ivar oldest: when the increment that was read longest ago was read, in seconds since the epoch; 0: never.
    """

    reading: Reading = field(default_factory=Reading)
    whole: list[Increment] = field(default_factory=list)
    unread: list[Increment] = field(default_factory=list)
    oldest: int | None = None


def read_all(root: Root, look: Look, rules: Rules, now: int, enough: Callable[[], bool]) -> Progress:
    """Read what there is time for, and write down what has been read.

    :param enough: tells whether the time is up.
    """
    done = Progress()
    record = stored.load(root)
    everything = held(look, rules)

    def last(increment: Increment) -> int:
        """A collect has read what is in the ledger, when it committed it."""
        committed = increment.end if increment in look.ledger and increment.end <= now else 0
        return max(record.last(increment, now), committed)

    wanted = {bad.name.encode() for bad in damage.find(root)}
    known_bad = [item for i, files in everything.items() for item in items(i, files, look) if item.name in wanted]
    order = sorted(everything, key=lambda i: (last(i), i.end, i.start or 0))
    saved = time.monotonic()
    try:
        if not read(known_bad, root.backups, look.ledger, done.reading, enough):
            done.unread = order
            return done
        for number, increment in enumerate(order):
            files = items(increment, everything[increment], look)
            if not _read_one(root, look, record, done, files, everything[increment], enough):
                done.unread += order[number:]
                break
            if files and all(_is_read(item, done.reading) for item in files):
                done.whole.append(increment)
                record.is_whole(increment, now)
            else:
                done.unread.append(increment)
            if time.monotonic() - saved > SAVE_EVERY:
                stored.save(root, record, everything)
                saved = time.monotonic()
    finally:
        stored.save(root, record, everything)
        done.oldest = min((last(increment) for increment in everything), default=None)
    return done


def _is_read(item: Item, reading: Reading) -> bool:
    return item.inode in reading.digests or item.inode in reading.failures


def _read_one(root: Root, look: Look, record: Checked, done: Progress, files: list[Item], known: Held,
              enough: Callable[[], bool]) -> bool:  # fmt: skip
    """Read what earlier runs have not read of an increment; note where the time was up."""
    if not files:
        return True
    increment = files[0].increment
    mtimes = {entry.inode: entry.mtime for places in known.names.values() for entry in places.values()}
    for inode, digest in record.begun_of(increment, mtimes).items():
        done.reading.digests.setdefault(inode, digest)
    try:
        return read(files, root.backups, look.ledger, done.reading, enough)
    finally:
        record.begun[ledger.entry_name(increment)] = [
            Begun(inode[1], mtimes[inode], done.reading.digests[inode])
            for inode in {item.inode for item in files}
            if inode in done.reading.digests
        ]


def write_ledger(root: Root, look: Look, rules: Rules, done: Progress) -> list[Increment]:
    """Write down the hashes of increments that have no ledger entry, where all files were read and none differ.

    Those of archives of 2012 have none. From then on a change is seen.
    """
    written = []
    for increment, files in held(look, rules).items():
        expected = expected_names(look, increment, files)
        if increment in look.ledger or increment in look.pending or increment not in done.whole or expected is None:
            continue
        digests = {
            name: {done.reading.digests.get(entry.inode) for entry in files.names[name].values()} for name in expected
        }
        certain = {name.decode(): digest for name, (digest, *more) in digests.items() if digest and not more}
        if len(certain) == len(expected):
            ledger.write(root, increment, certain)
            written.append(increment)
    return written
