"""TAKEN → PLANNED: check and freeze a batch, write its ledger entry and the plan; or put it into quarantine."""

from __future__ import annotations

from cya.archive import ledger, records
from cya.archive.directories import opened
from cya.archive.freeze import freeze
from cya.archive.inspect import CLOCK_TOLERANCE, Batch, inspect
from cya.archive.plan import plan, still_there
from cya.archive.quarantine import quarantine
from cya.archive.records import Served
from cya.archive.root import Root
from cya.archive.take import seize
from cya.clock import local
from cya.errors import ArchiveError, BatchRefused
from cya.tree import layout


def accept(root: Root, now: int) -> str | None:
    """Accept the batch, or put it into quarantine and return why.

    :raises ArchiveError: when the archive's own clock cannot be right; the batch stays where it is.
    """
    served = records.find(root, layout.SERVED, Served)
    if served is not None and now < served.time - CLOCK_TOLERANCE:
        raise ArchiveError(
            f"{root.path}: the clock of the archive stands at {local(now)}, before {local(served.time)}, when it last "
            "served; set it (NTP) and collect again"
        )
    try:
        if served is None:
            raise BatchRefused(f"{layout.STATE}/{layout.SERVED} is missing: what was served is not known")
        batch, digests = _checked(root, served, now)
        catalog = root.catalog_above(served.serving.leaf)
        if not batch.increment.is_full and not still_there(served.serving, catalog):
            raise BatchRefused("the chain that it continues is not in the tree any more; the next is made on another")
        ledger.write(root, batch.increment, digests)
        records.save(root, layout.PLAN, plan(batch, served.serving, catalog))
    except BatchRefused as refusal:
        slot = quarantine(root, layout.BATCH, str(refusal), now)
        return f"{root.name}: batch refused: {refusal} (quarantined as {slot})"
    return None


def _checked(root: Root, served: Served, now: int) -> tuple[Batch, dict[str, str]]:
    try:
        with opened(layout.BATCH, root.state) as fd:
            seize(fd)
            batch = inspect(fd, served, now, marker_wanted=root.config.handover == "marker")
            return batch, freeze(fd, batch, *root.uploader)
    except NotADirectoryError:
        raise BatchRefused("it is not a directory") from None
