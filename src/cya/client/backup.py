"""One backup: continue the served chain by one increment, and hand it over.

A run that was killed is never gone on with: stock duplicity, asked to resume, writes signatures of what the files are
now beside volumes of what they were, and the next increment is then made against contents that no volume holds. So
whatever an earlier run left is removed first, and the run starts over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cya import clock
from cya.client import dumps
from cya.client.hooks import Hooks
from cya.client.places import excluded, held
from cya.client.settings import encryption, keeps_system, selection
from cya.client.snapshots import shown
from cya.config.client import ClientConfig
from cya.engine.protocol import BackupJob, Engine, Lost, Report, Watcher
from cya.errors import EngineError, NothingToDo
from cya.format.collection import FileSet, collect
from cya.metadata.gathered import Gathered
from cya.metadata.side_files import DIRECTORY
from cya.snapshot.choosing import NONE
from cya.snapshot.taken import View
from cya.transport.protocol import Next
from cya.transport.served import served as served_names


@dataclass(frozen=True)
class Done:
    """What the engine reports, and the files that were handed over with their size in bytes (none in a dry run).

    :ivar snapshots: of what snapshots were taken, for people.
    :ivar warnings: what an administrator should know, although the backup was made.
    """

    report: Report
    names: tuple[bytes, ...] = ()
    bytes: int = 0
    snapshots: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def backup(
    config: ClientConfig,
    engine: Engine,
    target: Next,
    now: datetime,
    *,
    full: bool = False,
    dry_run: bool = False,
    watch: Watcher | None = None,
    hooks: Hooks | None = None,
) -> Done:
    """Make one increment and hand it over to the archive.

    :param hooks: the commands that are run around it; None: none are.

    :raises NothingToDo: when the archive wants no upload now.
    :raises Locked: when another backup with this config is running, or another upload into the archive.
    :raises ArchiveError: when the archive cannot be reached, or what was made cannot be brought there.
    :raises ClockError: when the clock stands before the last backup.
    :raises EngineError: when no backup could be made; what was uploaded of it is removed.
    :raises SnapshotError: when no snapshot could be taken, or one could not be read to its end.
    :raises HookFailed: when a command vetoed the backup.
    :raises DumpFailed: when a database could not be dumped.
    """
    hooks = hooks or Hooks(config, enabled=False)
    with held(config), target.held():
        served = served_names(target.names())
        if not dry_run:
            _start_over(engine, target, served)
        job = BackupJob(
            source=config.source,
            target=target.directory,
            now=int(now.timestamp()),
            encryption=encryption(config),
            selection=selection(config, (*excluded(config), *_not_believed(config))),
            volume_size=config.volume_size,
            full=full,
            dry_run=dry_run,
            virtual=dumps.entries(config, int(now.timestamp())),
            spool=target.spool,
            metadata=config.metadata.keep,
            system=keeps_system(config),
        )
        try:
            with hooks.held():
                report, view = _made_of_view(config, engine, job, now, watch, hooks)
            snapshots = tuple(f"{each.mount.target}: {each.what}" for each in view.found)
            if dry_run:
                return Done(report)
            new = _made(target.names(), report)
            hooks.facts |= _facts(report)
            hooks.run("after")
            size = target.finish(new.names)
            return Done(report, tuple(new.names), size, snapshots, tuple(view.warnings))
        except BaseException:
            with suppress(Exception):  # what matters is why the run failed; the next run cleans up, too
                _start_over(engine, target, served)
            raise


def _made_of_view(
    config: ClientConfig, engine: Engine, job: BackupJob, now: datetime, watch: Watcher | None, hooks: Hooks
) -> tuple[Report, View]:
    """Make the increment of the source as it is at this moment; what could not be shown of it is told as lost."""
    if job.system and config.snapshot.kind != NONE and not job.dry_run:
        # Before there are snapshots: they are no part of the machine that is to come back one day.
        gathered = Gathered(config.source)
        gathered.files()
        job = replace(job, gathered=gathered)
    with shown(config, now, dry_run=job.dry_run) as view:
        if view.path is not None:
            hooks.release()
            chosen = replace(job.selection, excluded=(*job.selection.excluded, *view.excluded))
            job = replace(job, view=view.path, selection=chosen)
        report = engine.backup(job, watch)
    lost = tuple(Lost(str(each.path), each.reason) for each in view.missing)
    return replace(report, lost=(*report.lost, *lost)), view


def _facts(report: Report) -> dict[str, str]:
    return {
        "CYA_KIND": str(report.kind),
        "CYA_END": clock.iso(report.end),
        "CYA_LOST": str(len(report.lost)),
        **({"CYA_START": clock.iso(report.start)} if report.start is not None else {}),
    }


def drop_debris(config: ClientConfig, engine: Engine, target: Next) -> None:
    """Remove what a killed run left in ``next``, so that the archive sees that nothing has been uploaded.

    Before the archive is asked for what fits today: else a next of long ago would count as one with an upload in it.

    :raises Locked: when another backup is running.
    """
    with suppress(NothingToDo), held(config), target.held():
        _start_over(engine, target, served_names(target.names()))


def _start_over(engine: Engine, target: Next, served: frozenset[bytes]) -> None:
    """Remove what a broken-off upload left, the volumes last: while one is there, the rest is known for debris."""
    left = collect(name for name in target.names() if name not in served)
    volumes = [name for files in left.sets for name in files.volumes.values()]
    target.remove([*left.foreign, *(n for files in left.sets for n in files.names if n not in volumes), *volumes])
    engine.forget_partial(sorted(served))


def _made(names: Iterable[bytes], report: Report) -> FileSet:
    """Return the increment that the engine made, which must be whole."""
    new = [files for files in collect(names).sets if files.volumes]
    if len(new) != 1 or not new[0].is_complete or (new[0].start, new[0].end) != (report.start, report.end):
        found = ", ".join(sorted(name.decode(errors="replace") for files in new for name in files.names)) or "nothing"
        raise EngineError(f"the engine did not leave one whole backup in incoming/next, but: {found}; run again")
    return new[0]


def _not_believed(config: ClientConfig) -> tuple[Path, ...]:
    """Return what must not be in a backup without metadata: a restore would believe it, and whoever may write there."""
    return () if config.metadata.keep else (config.source / os.fsdecode(DIRECTORY),)
