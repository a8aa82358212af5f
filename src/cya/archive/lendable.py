"""Which chain reaches a time, and where in the tree each of its files can be had, the undamaged ones first."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime

from cya import clock
from cya.archive.attributes import drop_acls
from cya.archive.check import damage
from cya.archive.check.damage import Bad
from cya.archive.plan import manifest_last
from cya.archive.root import Root
from cya.archive.upload import MODE, own
from cya.catalog import Catalog, Directory
from cya.errors import ArchiveError, IntegrityError
from cya.tree.chain import Chain
from cya.tree.levels import Period


@dataclass(frozen=True)
class Source:
    """A file of a chain, and the period that it is linked from. ``damaged``: a check has found it so everywhere."""

    name: str
    period: Period
    damaged: bool


def newest(root: Root, catalog: Catalog, time: datetime) -> Chain:
    """Return the chain of the newest backup that is not after a time.

    :raises ArchiveError: when there is none.
    :raises IntegrityError: when files of its chain are missing everywhere.
    """
    backups = catalog.backups
    if not backups:
        raise ArchiveError(f"{root.path}: there are no backups here")
    before = [backup for backup in backups if backup.increment.end <= int(time.timestamp())]
    if not before:
        first = clock.local(backups[0].increment.end)
        raise ArchiveError(f"{root.path}: there is no backup from {clock.local(time)} or before; the first is {first}")
    wanted = before[-1]
    if wanted.chain is None:
        whole = [clock.local(backup.increment.end) for backup in before if backup.chain is not None]
        way_out = f"the newest before it that is whole is {whole[-1]} (--time)" if whole else "none before it is whole"
        raise IntegrityError(
            f"{root.path}: the backup of {clock.local(wanted.increment.end)} cannot be restored: of its chain is "
            f"missing {wanted.missing}; {way_out}"
        )
    return wanted.chain


def sources(root: Root, catalog: Catalog, chain: Chain) -> list[Source]:
    """Return all files of a chain, each once, the manifest of an increment last."""
    known = {bad.name: bad for bad in damage.find(root)}
    found = []
    for increment in chain.increments:
        places = [(each, frozenset(each.sets[increment].names)) for each in catalog.holding[increment]]
        for name in manifest_last(catalog.merged[increment]):
            holding = [directory for directory, names in places if name in names]
            shown = os.fsdecode(name)
            good = [directory for directory in holding if not _is_bad(directory, known.get(shown))]
            found.append(Source(shown, (good or holding)[0].period, damaged=not good))
    return found


def _is_bad(directory: Directory, bad: Bad | None) -> bool:
    return bad is not None and damage.is_bad(directory, bad)


def let_read(name: str, directory: int, gid: int) -> None:
    """See to it that a committed file can be read by the client's group, and changed by nobody.

    Each one that is frozen here is so. An archive of 2012, or a root that was copied, may have other owners, modes and
    ACLs, and what is linked where the client comes would be the client's to change.

    :param gid: the client's group.
    :raises IntegrityError: when it is not a plain file.
    """
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise IntegrityError(f"{os.readlink(f'/proc/self/fd/{fd}')}: is not a plain file; run: cya check")
        theirs = os.geteuid() == 0 and (found.st_uid, found.st_gid) != (0, gid)
        if theirs or stat.S_IMODE(found.st_mode) != MODE:
            own(fd, gid)
        drop_acls(fd)
    finally:
        os.close(fd)
