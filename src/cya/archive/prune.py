"""PRUNE: keep what the root's policy says, and delete the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from cya.archive import index, log, pruning, quarantine, records
from cya.archive.adopt import is_2012
from cya.archive.check.damage import sound
from cya.archive.freed import freed
from cya.archive.holds import holds
from cya.archive.records import Served
from cya.archive.return_loan import settle
from cya.archive.root import Root, open_root, read_root, told
from cya.archive.side_by_side import side_by_side
from cya.catalog import Catalog
from cya.errors import ArchiveError, CyaError
from cya.tree import layout
from cya.tree.retention import Policy, Retention, retain

_DAY = 86400


@dataclass
class Pruned:
    """What one run did to one root, or would do.

    :ivar policy: what was to be kept; None: the root has no policy, and all is kept.
    :ivar decided: what becomes of everything.
    :ivar held: reasons why nothing was deleted.
    :ivar deleted: whether what goes has been deleted.
    :ivar freed: bytes on the disk that come free.
    :ivar expired: refused uploads that were deleted because of their age.
    :ivar returned: which loans have ended, and why.
    """

    root: Path
    policy: Policy | None = None
    decided: Retention = field(default_factory=lambda: Retention((), (), ()))
    held: tuple[str, ...] = ()
    deleted: bool = False
    freed: int = 0
    expired: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    error: CyaError | None = None


def prune_all(
    roots: list[Path], now: datetime, keep: Mapping[str, int] | None, *, dry_run: bool, force: bool
) -> list[Pruned]:
    """Prune several roots side by side; an error of one does not keep the others from being pruned."""
    return side_by_side(partial(_one, now, keep, dry_run, force), roots, _lost)


def _one(now: datetime, keep: Mapping[str, int] | None, dry_run: bool, force: bool, path: Path) -> Pruned:
    try:
        return prune(path, now, keep, dry_run=dry_run, force=force)
    except CyaError as error:
        return Pruned(path, error=error)


def _lost(path: Path) -> Pruned:
    return Pruned(path, error=ArchiveError(f"{path}: a process that pruned was killed; prune again"))


def prune(
    path: Path, now: datetime, keep: Mapping[str, int] | None = None, *, dry_run: bool = False, force: bool = False
) -> Pruned:
    """Prune a root.

    :param now: the archive's clock.
    :param keep: in place of the ``keep`` of the root's settings.
    :param dry_run: only tell. No lock is taken, and nothing is changed.
    :param force: delete although there are reasons to wait.
    :raises ArchiveError: when the root is missing, malformed or may not be changed.
    :raises Locked: when another run is at work on it.
    """
    moment = int(now.timestamp())
    if is_2012(path):
        raise ArchiveError(f"{path}: is an archive of the 2012 cya; take it over first: cya collect {path}")
    with told(path):
        if dry_run:
            with read_root(path) as root:
                return _planned(root, moment, keep)[0]
        with open_root(path) as root:
            pruning.finish(root)
            returned = settle(root, moment)
            done = prune_open(root, moment, keep, force=force)
            done.returned = returned
            return done


def prune_open(root: Root, now: int, keep: Mapping[str, int] | None = None, *, force: bool = False) -> Pruned:
    """Prune a root that is open and locked. ``now``: seconds since the epoch."""
    done, catalog = _planned(root, now, keep)
    done.expired = quarantine.expire(root, now)
    if catalog is None or not done.decided.going:
        return done
    for reason in done.held:
        log.note(root, now, "hold", reason)
    if done.held and not force:
        return done
    pruning.carry_out(root, done.decided, catalog, now)
    done.deleted = True
    index.publish(root)
    return done


def _planned(root: Root, now: int, keep: Mapping[str, int] | None) -> tuple[Pruned, Catalog | None]:
    """Return what would be done, and the tree; without a policy that is not even read."""
    policy = policy_of(root, keep)
    if not policy.keep:
        return Pruned(root.path), None
    catalog = root.catalog()
    whole = sound(root, catalog)
    served = records.find(root, layout.SERVED, Served)
    try:
        decided = retain(whole.tree, root.calendar, policy, now, whole.known, served.serving if served else None)
    except ValueError as error:
        raise ArchiveError(f"{root.path}: {error}") from error
    if not decided.going:
        return Pruned(root.path, policy, decided), catalog
    reasons = tuple(holds(root, whole, decided, now))
    return Pruned(root.path, policy, decided, reasons, freed=freed(root, decided.going, catalog)), catalog


def policy_of(root: Root, keep: Mapping[str, int] | None) -> Policy:
    """Return what a root's settings say, or with another ``keep``."""
    config = root.config
    return Policy(config.keep if keep is None else keep, config.min_age * _DAY, config.min_backups)
