"""Drill: prove that a backup can be restored, by restoring some of it and comparing that with what it recorded.

What is restored is plaintext: it lies in a private directory for a moment, and is removed however the drill ends.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from cya import clock
from cya.catalog import Backup, Catalog
from cya.client import restore, signatures
from cya.client.chosen import Chosen
from cya.client.draw import Lot, Rules, draw
from cya.client.restorable import Restorable
from cya.client.sample import Sample, rank
from cya.client.signatures import Source
from cya.client.verify import Difference, Tree, Verification
from cya.engine import scratch
from cya.engine.native.reading.recorded import Recorded
from cya.engine.native.reading.unset import NOT_SET
from cya.engine.protocol import Encryption, Engine, Lost, Report, Selection, Watcher
from cya.errors import DecryptionFailed, IntegrityError, NotInBackup, RestoreError
from cya.format.key import path_of
from cya.metadata.side_files import is_ours
from cya.printable import printable

PREFIX = "cya-drill-"
_OF_FILE_SYSTEMS: frozenset[str] = frozenset(("xattrs", "acl", "flags", "holes"))
_MARGIN = 1 << 20
_EACH = 1 << 13
"""Bytes that a path may take beside its content."""


class Tools(NamedTuple):
    """What looks into backups, and restores them.

    :ivar engine: makes an engine, given a private directory for what it keeps while it works.
    """

    source: Source
    restorable: Restorable
    engine: Callable[[Path], Engine]
    keys: Encryption


@dataclass(frozen=True)
class Drilled:
    """What became of a drill of one backup.

    :ivar time: of the backup, in seconds since the epoch.
    :ivar lot: what was drawn; None when that could not be told.
    :ivar compared: number of paths; ``files`` and ``bytes``: those whose content was compared.
    :ivar seconds: that restoring and comparing took.
    :ivar differences: what is not as it was recorded.
    :ivar lost, damaged: as in :class:`cya.engine.protocol.Report`.
    :ivar unset: what the file system of the drill cannot hold; whatever is of that kind was not compared.
    :ivar error: why nothing could be restored or compared, where it could not.
    """

    time: int
    lot: Lot | None = None
    compared: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    differences: tuple[Difference, ...] = ()
    lost: tuple[Lost, ...] = ()
    damaged: tuple[Lost, ...] = ()
    error: str = ""
    unset: tuple[Lost, ...] = ()

    @property
    def well(self) -> bool:
        """Whether all that was drawn came back as it was."""
        return not (self.differences or self.lost or self.damaged or self.error)


def older(catalog: Catalog, newest: Backup, count: int, seed: int) -> list[Backup]:
    """Return some of the restorable backups before the newest, drawn by lot, the newest first."""
    before = [each for each in catalog.backups if each.chain is not None and each.increment.end < newest.increment.end]
    drawn = sorted(before, key=lambda each: rank(b"backup", seed, each.increment.end))[:count]
    return sorted(drawn, key=lambda each: -each.increment.end)


def left_out() -> Callable[[Recorded], bool]:
    """Return what says whether this user could not restore a path as it was, and look at it then.

    That is nothing for root. Others can make no device, give no special bits, and look into nothing that is closed to
    its own owner.
    """
    return (lambda _: False) if os.geteuid() == 0 else _closed


def _closed(record: Recorded) -> bool:
    kind = stat.S_IFMT(record.mode)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return True
    needed = {stat.S_IFDIR: 0o500, stat.S_IFREG: 0o400}.get(kind, 0)
    special = stat.S_ISUID | stat.S_ISGID
    return record.mode & needed != needed or bool(record.mode & special and record.uid != os.geteuid())


@contextmanager
def place(parent: Path) -> Iterator[Path]:
    """Make a private directory to restore into, and remove it afterwards; and those that killed drills left.

    :raises EngineError: when it cannot be made.
    :raises OSError: when ``parent`` cannot be listed.
    """
    scratch.remove_stale(parent, PREFIX)
    with scratch.held(parent, PREFIX) as made:
        yield made


def drill(tools: Tools, backup: Backup, rules: Rules, parent: Path, watch: Watcher | None = None) -> Drilled:
    """Restore what is drawn of a backup into a directory in ``parent``, compare it, and remove it.

    Damage is told in what is returned.

    :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
    :raises NotInBackup: when it does not have the directory that is asked for.
    :raises RestoreError: when there is not enough room, or nothing that is small enough.
    """
    time_ = backup.increment.end
    try:
        known = tools.source.catalog
        found = signatures.way(known, backup.increment) if backup.increment in known.merged else "its sigtar is missing"
        if isinstance(found, str):
            return Drilled(time_, error=found)
        with place(parent) as made:
            every = signatures.in_force(_within(tools.source, made / "drawing"), found)
            lot = draw((record for record in every if not is_ours(record.key)), time_, rules)
            _check(lot, rules, time_)
            _check_room(lot, made)
            return _drilled(tools, backup, found, lot, made, watch)
    except IntegrityError as error:
        return Drilled(time_, error=str(error))


def _drilled(
    tools: Tools, backup: Backup, found: signatures.Way, lot: Lot, made: Path, watch: Watcher | None
) -> Drilled:
    began = time.monotonic()
    tree, work = made / "tree", made / "work"
    work.mkdir(0o700)
    keys = {*lot.files} | ({lot.directory} if lot.directory is not None else set())
    paths = restore.without_those_within([Path(os.fsdecode(path_of(key))) for key in keys])
    report = _restored(tools, backup, tree, work, paths, watch)
    chosen = Chosen([*map(str, paths)], None)
    compare = Verification(
        _within(tools.source, made / "comparing"), found, Tree(tree, tree, Selection(), restored=True), chosen, Sample()
    )
    # What the file system of the drill cannot hold proves nothing against the backup.
    unset = tuple(each for each in report.lost if each.reason.startswith(NOT_SET))
    report = replace(report, lost=tuple(each for each in report.lost if each not in unset))
    lost = {each.path for each in report.lost}
    ignored = _OF_FILE_SYSTEMS if unset else frozenset()
    differences = tuple(
        each for each in compare.differences() if _path(each.key) not in lost and not ignored.issuperset(each.what)
    )
    return Drilled(
        backup.increment.end,
        lot,
        compare.compared,
        compare.read,
        compare.bytes,
        time.monotonic() - began,
        differences,
        report.lost,
        report.damaged,
        unset=unset,
    )


def _restored(
    tools: Tools, backup: Backup, tree: Path, work: Path, paths: tuple[Path, ...], watch: Watcher | None
) -> Report:
    engine = tools.engine(work / "engine")
    try:
        return tools.restorable.restore(backup, engine, tree, tools.keys, work, paths=paths, watch=watch)
    except (DecryptionFailed, NotInBackup) as error:
        # The sigtars could be decrypted, and have the paths.
        raise IntegrityError(str(error)) from error


def _within(source: Source, work: Path) -> Source:
    """Return the source with a directory of its own for temporary files."""
    work.mkdir(0o700)
    return replace(source, work=work)


def _check(lot: Lot, rules: Rules, time_: int) -> None:
    of = f"the backup of {clock.local(time_)}"
    if rules.directory is not None and lot.directory is None:
        name = printable(_path(rules.directory))
        raise NotInBackup(
            f"{name}: {of} has no such directory, or it is too large (--max-size) or holds what only root could compare"
        )
    if not lot.files and lot.directory is None:
        raise RestoreError(f"{of}: nothing in it is small enough for a drill, so it proves nothing: give --max-size")


def _check_room(lot: Lot, made: Path) -> None:
    there = os.statvfs(made)
    free = there.f_bavail * there.f_frsize
    # Changes are applied beside what they change.
    needed = 2 * lot.bytes + lot.paths * _EACH + _MARGIN
    if free < needed:
        raise RestoreError(
            f"{made.parent}: has only {free >> 20} MiB left, and the drill may need {needed >> 20} MiB: choose another "
            "place (--scratch), or less (--max-size)"
        )


def _path(key: bytes) -> str:
    return os.fsdecode(path_of(key))
