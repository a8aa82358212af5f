"""How the roots of an archive are: what a monitor watches. It only reads, takes no lock, and disturbs nobody."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cya import catalog, clock
from cya.archive import lent, log, records
from cya.archive.quarantine import REASON, slots_of
from cya.archive.records import Deferral, Loan
from cya.archive.root import Root, read_root, told
from cya.archive.state import State, derive
from cya.config import root as root_config
from cya.errors import CyaError
from cya.tree import layout


@dataclass
class Status:
    """One root. Where ``error`` is set, the root could not be read, and the rest says nothing.

    :ivar last: end of the newest backup that can be restored, in seconds since the epoch; None: there is none yet.
    :ivar age: seconds since then, or, without a backup, since the client was added.
    :ivar removed: the client was removed; there will be no more backups, and none is missed.
    :ivar overdue: why the client needs a look: its last backup is too old.
    :ivar bytes: size of everything in ``backups/``, each file once.
    :ivar backups: number of points in time that can be restored; ``damaged``: that cannot, something is missing.
    :ivar loans: what is lent.
    :ivar deferred: how many runs have waited for a process that has a file of an upload open.
    :ivar alarms: lines of the log of the last days that an administrator should look at; why nothing is pruned is one.
    :ivar quarantines: number of refused uploads that lie about; ``newest_refusal``: directory and reason of the
        last one.
    :ivar free_bytes: what the file system has left; ``free_inodes``: None where it does not count them.
    """

    root: Path
    state: State | None = None
    last: int | None = None
    age: int = 0
    removed: bool = False
    overdue: str | None = None
    bytes: int = 0
    backups: int = 0
    damaged: int = 0
    loans: tuple[Loan, ...] = ()
    deferred: int = 0
    alarms: list[str] = field(default_factory=list)
    quarantines: int = 0
    newest_refusal: tuple[str, str] | None = None
    free_bytes: int = 0
    free_inodes: int | None = None
    error: CyaError | None = field(default=None)

    @property
    def name(self) -> str:
        """The client's name: that of the root's directory."""
        return self.root.name


def status(path: Path, now: datetime, max_age: timedelta) -> Status:
    """Tell how a root is; what is wrong with it is in the answer, never raised.

    :param max_age: how old the last backup may be.
    """
    it = Status(path.resolve())
    try:
        with told(path):
            _look(it, int(now.timestamp()), max_age)
    except CyaError as error:
        it.error = error
    return it


@dataclass(frozen=True)
class Late:
    """That a client's last backup is too old.

    :ivar since: its time in seconds since the epoch; without a backup, when the client was added.
    """

    since: int
    reason: str


def overdue_since(root: Root, now: int, max_age: timedelta) -> Late | None:
    """Return whether a client is overdue; of one with a young backup only the log is read."""
    if log.tail(root, now - int(max_age.total_seconds()), "commit") or _is_removed(root.path):
        return None
    return _late(root.path.resolve(), _last(root.path), now, max_age)


def _is_removed(root: Path) -> bool:
    return (root / layout.STATE / layout.REMOVED).exists()


def _last(root: Path) -> int | None:
    return max((each.increment.end for each in catalog.read(root).backups if each.chain is not None), default=None)


def _late(root: Path, last: int | None, now: int, max_age: timedelta) -> Late | None:
    since = last if last is not None else _added(root)
    if now - since <= max_age.total_seconds():
        return None
    what = f"the last backup is of {clock.local(since)}" if last else f"no backup since {clock.local(since)}"
    return Late(since, f"{root.name}: overdue: {what}, which is {age(now - since)} ago")


def _look(it: Status, now: int, max_age: timedelta) -> None:
    with read_root(it.root) as root:
        it.state = derive(root)
        it.quarantines, it.newest_refusal = _quarantines(root.intake)
        waited = records.find(root, layout.DEFERRED, Deferral)
        it.loans = lent.known(root)
        it.deferred = waited.runs if waited else 0
        it.alarms = _alarms(log.tail(root, now - _RECENT, "alarm", "hold", "prune"))
        space = os.fstatvfs(root.backups)
    it.free_bytes = space.f_bavail * space.f_frsize
    it.free_inodes = space.f_favail if space.f_files else None
    it.removed = _is_removed(it.root)
    it.bytes = _size(it.root / layout.BACKUPS)
    found = catalog.read(it.root).backups
    whole = [backup.increment.end for backup in found if backup.chain is not None]
    it.backups, it.damaged = len(whole), len(found) - len(whole)
    it.last = max(whole, default=None)
    it.age = now - (it.last if it.last is not None else _added(it.root))
    late = _late(it.root, it.last, now, max_age) if not it.removed else None
    it.overdue = late.reason if late is not None else None


def _added(root: Path) -> int:
    file = root / root_config.FILE
    return int((file if file.exists() else root).stat().st_mtime)


_RECENT = 7 * 86400
"""For so many seconds an alarm is shown."""


def _alarms(lines: list[str]) -> list[str]:
    """Return the alarms, and the newest reason why nothing was pruned, if nothing has been pruned since then."""
    pruning = [line for line in lines if log.event_of(line) != "alarm"]
    held = [line for line in pruning[-1:] if log.event_of(line) == "hold"]
    return [line for line in lines if log.event_of(line) == "alarm"] + held


def _quarantines(intake: int) -> tuple[int, tuple[str, str] | None]:
    """Count the slots ``TIME`` and ``TIME-N``; return the directory and the reason of the newest, too."""
    place = Path(os.readlink(f"/proc/self/fd/{intake}")) / layout.QUARANTINE
    if not place.is_dir():
        return 0, None
    slots = [place / name for name in slots_of(os.listdir(place)) if (place / name / layout.FILES).exists()]
    if not slots:
        return 0, None
    reason = slots[-1] / REASON
    return len(slots), (str(slots[-1]), reason.read_text(errors="replace").strip() if reason.exists() else "?")


def _size(top: Path) -> int:
    sizes: dict[tuple[int, int], int] = {}
    for _, _, names, fd in os.fwalk(top):
        for name in names:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())


def age(seconds: int) -> str:
    """Return an age for people, with one unit: ``35 minutes``, ``26 hours``, ``9 days``."""
    for unit, length, enough in (("days", 86400, 3 * 86400), ("hours", 3600, 2 * 3600), ("minutes", 60, 120)):
        if seconds >= enough:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
