"""TAKEN → PLANNED: check and freeze a batch, write its ledger entry and the plan; or defer it; or quarantine it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from cya.archive import ledger, limits, log, records
from cya.archive.alarms import alarms
from cya.archive.copy_in import copy_in
from cya.archive.directories import opened, remove
from cya.archive.freeze import freeze
from cya.archive.inspect import CLOCK_TOLERANCE, Batch, inspect
from cya.archive.plan import check_new, plan, still_there
from cya.archive.quarantine import quarantine
from cya.archive.records import Deferral, Served
from cya.archive.root import Root
from cya.archive.take import seize
from cya.archive.writers import NoLeases, StillOpen
from cya.clock import local
from cya.errors import ArchiveError, BatchRefused
from cya.format.collection import collect
from cya.tree import layout

PATIENCE = 3
"""So many runs wait for a process that has a file open; then the batch is copied. An sftp-server whose connection was
cut ends within minutes."""


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: accepted, unless one of the two is set.

    :ivar refused: why it is in quarantine now.
    :ivar deferred: why it waits for the next run.
    :ivar alarms: what an administrator should look at, although the batch is accepted.
    """

    refused: str | None = None
    deferred: str | None = None
    alarms: list[str] = field(default_factory=list)


def accept(root: Root, now: int) -> Outcome:
    """Accept the batch, or put it into quarantine, or leave it for the next run.

    :raises ArchiveError: when the archive's own clock cannot be right; the batch stays where it is.
    """
    served = records.find(root, layout.SERVED, Served)
    is_before = served is not None and now < served.time - CLOCK_TOLERANCE
    if served is not None and is_before and not _ends_by(root, now + CLOCK_TOLERANCE):
        raise ArchiveError(
            f"{root.path}: the clock of the archive stands at {local(now)}, before {local(served.time)}, when it last "
            "served, and before the upload was made; set it (NTP) and collect again"
        )
    try:
        if served is None:
            raise BatchRefused(f"{layout.STATE}/{layout.SERVED} is missing: what was served is not known")
        if is_before:
            raise BatchRefused(
                f"the clock of the archive was wrong when it served this: it stood at {local(served.time)}"
            )
        batch, digests = _checked(root, served, now)
        catalog = root.catalog_above(served.serving.leaf)
        if not batch.increment.is_full and not still_there(served.serving, catalog):
            raise BatchRefused("the chain that it continues is not in the tree any more; the next is made on another")
        check_new(batch.increment, catalog, now)
        if ledger.taken(root, batch.increment, digests):
            raise BatchRefused(f"another backup that was committed ends at {local(batch.increment.end)}, too")
        found = alarms(root, batch, served.serving, now)
        for alarm in found:
            log.note(root, now, "alarm", alarm)
        ledger.write(root, batch.increment, digests)
        records.save(root, layout.PLAN, plan(batch, served.serving, catalog))
    except StillOpen as error:
        reason = f"batch deferred: a process still has {error} open for writing"
        log.note(root, now, "defer", reason)
        return Outcome(deferred=f"{root.name}: {reason}")
    except BatchRefused as refusal:
        remove(layout.COPIED, root.state)
        slot = quarantine(root, layout.BATCH, str(refusal), now)
        log.note(root, now, "refuse", str(refusal), quarantine=slot)
        return Outcome(refused=f"{root.name}: batch refused: {refusal} (quarantined as {slot})")
    return Outcome(alarms=[f"{root.name}: {alarm}" for alarm in found])


def _ends_by(root: Root, moment: int) -> bool:
    """Tell whether all that lies in the batch was made by then, as far as its names tell."""
    try:
        with opened(layout.BATCH, root.intake) as fd:
            return all(files.end <= moment for files in collect(map(os.fsencode, os.listdir(fd))).sets)
    except NotADirectoryError:
        return True


def _checked(root: Root, served: Served, now: int) -> tuple[Batch, dict[str, str]]:
    try:
        with opened(layout.BATCH, root.intake) as fd:
            seize(fd)
            wanted = root.config.handover == "marker"
            batch = inspect(fd, served, now, marker_wanted=wanted, max_files=root.config.max_files)
            limits.check_size(root, batch)
            return batch, _frozen(root, fd, batch)
    except NotADirectoryError:
        raise BatchRefused("it is not a directory") from None


def _frozen(root: Root, fd: int, batch: Batch) -> dict[str, str]:
    """Freeze the batch where it lies, or copy it in.

    :raises StillOpen: when a process has a file open, for the first runs.
    """
    remove(layout.COPIED, root.state)
    waited = records.find(root, layout.DEFERRED, Deferral) or Deferral(runs=0)
    if root.config.commit == "copy" or root.is_apart or waited.runs >= PATIENCE:
        return copy_in(root, fd, batch)
    try:
        return freeze(fd, batch, *root.uploader)
    except NoLeases:
        return copy_in(root, fd, batch)
    except StillOpen:
        records.save(root, layout.DEFERRED, Deferral(runs=waited.runs + 1))
        raise
