"""Restore: find the chain that reaches a time, gather its files wherever they are whole, and let the engine replay it.

The engine gets a directory of symbolic links to exactly the files of one chain. So a volume that one directory lost is
taken from another that has it, a directory with several chains is no riddle, and nothing is written where the backups
are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cya import clock
from cya.catalog import Backup, Catalog
from cya.engine import placing
from cya.engine.protocol import Encryption, Engine, Existing, Report, RestoreJob, Watcher
from cya.engine.scratch import held, remove_stale
from cya.errors import IntegrityError, RestoreError, UsageError
from cya.supply import Supply
from cya.tree.chain import Chain

_VIEW = "chain-"
_ENCRYPTED = (b".gpg", b".g")
"""Endings of names; the second one in Duplicity's short style."""


def find(source: Catalog, time: datetime, *, damaged_too: bool = False) -> Backup:
    """Return the newest backup that is not after ``time``.

    :param damaged_too: also one of which files are missing, as long as there is anything of each increment.
    :raises RestoreError: when there is none.
    :raises IntegrityError: when it cannot be restored, because files of its chain are missing everywhere.
    """
    backups = source.backups
    if not backups:
        raise RestoreError(f"{source.source}: there are no backups here")
    moment = int(time.timestamp())
    before = [backup for backup in backups if backup.increment.end <= moment]
    if not before:
        first = clock.local(backups[0].increment.end)
        raise RestoreError(
            f"{source.source}: there is no backup from {clock.local(time)} or before; the first is {first}"
        )
    wanted = before[-1]
    if wanted.chain is None and damaged_too:
        wanted = replace(wanted, chain=source.way(wanted.increment))
    if wanted.chain is None:
        intact = [clock.local(backup.increment.end) for backup in before if backup.chain is not None]
        way_out = (
            f"the newest before it that is whole is {intact[-1]} (--time)" if intact else "none before it is whole"
        )
        raise IntegrityError(
            f"{source.source}: the backup of {clock.local(wanted.increment.end)} cannot be restored: of its chain "
            f"is missing {wanted.missing}; {way_out}"
        )
    return wanted


def restore(
    source: Catalog,
    backup: Backup,
    engine: Engine,
    destination: Path,
    keys: Encryption,
    scratch: Path,
    *,
    paths: Sequence[Path] = (),
    existing: Existing = "refuse",
    numeric_owner: bool = False,
    without: frozenset[str] = frozenset(),
    allow_unencrypted: bool = False,
    supply: Supply | None = None,
    watch: Watcher | None = None,
) -> Report:
    """Restore a backup that :func:`find` found, or some paths of it.

    :param scratch: a private directory for temporary files.
    :param paths: relative to the source; none restores everything.
    :param without: see :class:`cya.engine.protocol.RestoreJob`.
    :param allow_unencrypted: take files that are not encrypted, or not signed, even where ``keys`` says that they
        should be.
    :param supply: what brings the files of its chain here; None: they are where the catalog says.
    :raises RestoreError: when the destination is not an empty directory, unless what is there may stay or go.
    :raises NotInBackup: when it does not hold one of the paths.
    :raises DecryptionFailed, IntegrityError, EngineError: as the engine finds.
    """
    if backup.chain is None:
        raise IntegrityError(f"the backup of {clock.local(backup.increment.end)} is not whole")
    if allow_unencrypted:
        keys = replace(keys, sign_key=None)
    elif keys.enabled:
        _check_encrypted(source, backup.chain)
    check_destination(destination, existing)
    _make(destination)
    remove_stale(scratch, _VIEW)
    with held(scratch, _VIEW) as view:
        if supply is None:
            _gather(source, backup.chain, view)
        job = RestoreJob(
            source=view,
            destination=destination,
            time=backup.increment.end,
            encryption=keys,
            paths=tuple(paths),
            existing=existing,
            numeric_owner=numeric_owner,
            without=without,
            supply=supply,
        )
        return engine.restore(job, watch)


def relative(path: str, source: Path | None) -> Path:
    """Return a path that a person gave, absolute or relative to the source, as relative to the source.

    :raises UsageError: when it leaves the source.
    """
    given = Path(os.path.normpath(path))
    if given.is_absolute():
        for top in (source, source.resolve()) if source is not None else ():
            if given.is_relative_to(top):
                return given.relative_to(top)
        given = given.relative_to("/")
    if ".." in given.parts:
        raise UsageError(f"--path {path}: is not below the source of the backup")
    return given


def without_those_within(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the paths without those that lie within others; the source itself means everything: no path."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return () if Path() in kept else tuple(kept)


def check_destination(destination: Path, existing: Existing) -> None:
    """Look whether a restore to a directory may begin; it need not be there.

    :raises RestoreError: when it may not.
    """
    try:
        if existing == "refuse" and not placing.is_empty(destination):
            raise RestoreError(
                f"{destination}: is not empty; give an empty or a new directory, or --keep or --overwrite what is "
                "there, or go on with a restore that was interrupted: --resume"
            )
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise RestoreError(f"{destination}: not a directory") from error
    except OSError as error:
        raise RestoreError(f"{destination}: {error.strerror}") from error


def _make(destination: Path) -> None:
    try:
        destination.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise RestoreError(f"{destination}: not a directory") from error
    except OSError as error:
        raise RestoreError(f"{destination}: {error.strerror}") from error


def _check_encrypted(source: Catalog, chain: Chain) -> None:
    """Refuse what somebody without the key could have put there.

    :raises IntegrityError: names a file that is not encrypted.
    """
    for increment in chain.increments:
        files = source.merged[increment]
        for name in (*files.metadata, *files.volumes.values()):
            if not name.endswith(_ENCRYPTED):
                raise IntegrityError(
                    f"{os.fsdecode(name)}: is not encrypted, and the backups of this client are: whoever can write "
                    "where it lies may have made it. If it was made before encryption was turned on, restore with "
                    "--allow-unencrypted"
                )


def _gather(source: Catalog, chain: Chain, view: Path) -> None:
    for increment in chain.increments:
        for name, place in source.places(increment).items():
            (view / os.fsdecode(name)).symlink_to(place.absolute())
