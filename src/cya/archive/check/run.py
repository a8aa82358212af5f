"""``cya check``: is everything that was committed still there, and still what it was? Without keys.

It looks at the tree, reads what there is time for, and looks again: only what is still wrong then is told. It never
changes anything in ``backups/`` and does not hold the root's lock, so a collect is never held up by hours of reading.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cya.archive.adopt import is_2012
from cya.archive.check import damage
from cya.archive.check.judge import Judgement, judge, mismatches
from cya.archive.check.look import look, token
from cya.archive.check.outcome import Outcome
from cya.archive.check.reading import Progress, read_all, write_ledger
from cya.archive.check.tree import Bads, Finding, Look, Rules
from cya.archive.directories import exists
from cya.archive.root import Root, open_root
from cya.errors import ArchiveError, CyaError
from cya.tree import layout
from cya.tree.chain import Increment

LOCK = "check.lock"
"""One check at a time on a root. It is not the lock of a collect."""

PAUSES = (0.3, 1, 2, 4, 8)
"""Seconds between two looks that have to agree before damage is told: somebody may be deleting a period."""


@dataclass
class Result:
    """What one run found out about one root. ``seconds``: how long it took."""

    root: Path
    findings: tuple[Finding, ...] = ()
    outcome: Outcome = field(default_factory=lambda: Outcome((), (), {}))
    progress: Progress = field(default_factory=Progress)
    recorded: list[Increment] = field(default_factory=list)
    seconds: float = 0.0
    error: CyaError | None = None

    @property
    def damaged(self) -> bool:
        """Whether anything is wrong."""
        return any(finding.damage for finding in self.findings)


def check_all(roots: list[Path], now: datetime, budget: float | None = None) -> list[Result]:
    """Check several roots one after the other: they most likely share a disk. An error of one does not stop the others.

    :param budget: seconds for the reading of all of them; each gets an equal share of what is left.
    """
    results = []
    begun = time.monotonic()
    for number, path in enumerate(roots):
        left = None if budget is None else max(0.0, begun + budget - time.monotonic()) / (len(roots) - number)
        try:
            results.append(check(path, now, left))
        except CyaError as error:
            results.append(Result(path, error=error))
    return results


def check(path: Path, now: datetime, budget: float | None = None) -> Result:
    """Check a root.

    :param now: the archive's clock, for the record of what was read when.
    :param budget: seconds after which no further file is read; None: everything is read.
    :raises ArchiveError: when the root is missing, malformed or may not be read.
    :raises Locked: when another check is at work on it.
    """
    begun = time.monotonic()
    if is_2012(path):
        raise ArchiveError(f"{path}: is an archive of the 2012 cya; take it over first: cya collect {path}")
    with open_root(path, LOCK) as root:
        rules = rules_of(root)
        first = look(root)
        progress = read_all(
            root,
            first,
            rules,
            int(now.timestamp()),
            lambda: budget is not None and time.monotonic() - begun >= budget,
        )
        last, judged = _settled(root, lambda seen: judge(seen, rules, root.calendar, _bad(root, seen, rules, progress)))
        damage.save(root, judged.bad)
        recorded = write_ledger(root, last, rules, progress)
        notes = [Finding("recorded", f"{layout.STATE}/{layout.LEDGER}", _RECORDED.format(len(recorded)), False)]
        findings = (*judged.findings, *(notes if recorded else []))
        return Result(path, findings, judged.outcome, progress, recorded, time.monotonic() - begun)


_RECORDED = "{} backups had no entry; the SHA-256 of their files, as they are now, have been written down"


def rules_of(root: Root) -> Rules:
    """Return whose committed files must be. Without the client's user (a disk on another machine) any group will do."""
    uid = os.fstat(root.top).st_uid
    gids = None
    if uid == 0:
        try:
            gids = frozenset({0, root.uploader[1]})
        except ArchiveError:
            gids = None
    return Rules(uid, gids, adopted=exists(f"{layout.NEXT_INFO}.2012", root.state))


def _bad(root: Root, seen: Look, rules: Rules, progress: Progress) -> Bads:
    """Files that were read and are wrong, and those that an earlier check found wrong and this one has not read."""
    read = progress.reading
    device = os.fstat(root.backups).st_dev
    times = {entry.inode: entry.mtime for place in seen.places.values() for entry in place.files.values()}
    earlier = {
        (each.name.encode(), (device, number)): each.reason
        for each in damage.find(root)
        for number, mtime in each.inodes
        if (device, number) not in read.digests
        and (device, number) not in read.failures
        and times.get((device, number)) == mtime
    }
    return {**earlier, **mismatches(seen, rules, read.digests, read.failures)}


def _settled(root: Root, judged: Callable[[Look], Judgement]) -> tuple[Look, Judgement]:
    """Look until two looks agree that something is wrong and no collect was at work between them, or nothing is."""
    before, seen = token(root), look(root)
    found = judged(seen)
    for pause in PAUSES:
        if not any(finding.damage for finding in found.findings):
            break
        time.sleep(pause)
        again = look(root)
        found_again, after = judged(again), token(root)
        agree = before == after and set(found.findings) == set(found_again.findings)
        before, seen, found = after, again, found_again
        if agree:
            break
    return seen, found
