"""Which sigtars tell what is in a backup. Volumes are not needed for that, nor the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cya import clock
from cya.catalog import Catalog
from cya.engine.native.reading import histories
from cya.engine.native.reading.opening import FileDamaged, Opener
from cya.engine.native.reading.recorded import Recorded
from cya.errors import CyaError, DecryptionFailed, IntegrityError, RestoreError
from cya.tree.chain import Increment

_MOST_TRIED = 8
"""Files: making a key for each takes a moment."""


@dataclass(frozen=True)
class Source:
    """Backups, and all that is needed to look into their sigtars.

    :ivar origin: the directory that was backed up, where it is known.
    :ivar work: a private, empty directory for temporary files.
    """

    catalog: Catalog
    opener: Opener
    work: Path
    origin: Path | None = None


@dataclass(frozen=True)
class Way:
    """The increments that a backup is made of, the full first, and their sigtars."""

    increments: tuple[Increment, ...]
    sigtars: tuple[Path, ...]

    @property
    def end(self) -> int:
        """When the backup was made, in seconds since the epoch."""
        return self.increments[-1].end


def find(catalog: Catalog, time: datetime) -> Way:
    """Return the way to the newest backup that is not after ``time``.

    :raises RestoreError: when there is none.
    :raises IntegrityError: when a sigtar on the way to it is missing.
    """
    every = list(catalog.merged)
    moment = int(time.timestamp())
    before = [increment for increment in every if increment.end <= moment]
    if not before:
        rest = f" from {clock.local(time)} or before; the first is {clock.local(every[0].end)}" if every else " here"
        raise RestoreError(f"{catalog.source}: there is no backup{rest}")
    found = way(catalog, before[-1])
    if isinstance(found, str):
        raise IntegrityError(
            f"{catalog.source}: what is in the backup of {clock.local(before[-1].end)} cannot be told: {found}; "
            "`cya list` names the backups that are whole (--time)"
        )
    return found


def way(catalog: Catalog, increment: Increment) -> Way | str:
    """Return the way to a backup, or what is missing of it everywhere."""
    by_end = {each.end: each for each in catalog.merged}
    back = [increment]
    sigtars = []
    while True:
        at = back[-1]
        name = catalog.merged[at].sigtar
        if name is None:
            kind = "full" if at.is_full else "increment"
            return f"the sigtar of the {kind} of {clock.local(at.end)} is missing, or there are two"
        sigtars.append(catalog.places(at)[name])
        if at.start is None:
            return Way(tuple(reversed(back)), tuple(reversed(sigtars)))
        before = by_end.get(at.start)
        if before is None or at.start >= at.end:
            return f"the backup of {clock.local(at.start)} is missing, on which that of {clock.local(at.end)} stands"
        back.append(before)


def in_force(source: Source, found: Way) -> Iterator[Recorded]:
    """Yield what is in a backup, in order; a record's number is that of its increment on the way.

    :raises IntegrityError: when a sigtar is damaged, which may be known only at the end.
    :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
    """
    try:
        yield from histories.in_force(found.sigtars, source.opener, source.work)
    except DecryptionFailed as error:
        raise judged(source, found.increments, error) from error


def judged(source: Source, increments: Iterable[Increment], error: DecryptionFailed) -> CyaError:
    """Tell a sigtar that is damaged where its key is made from a passphrase that is wrong, by its increment's others.

    :return: the same error, or one that names the damaged sigtar.
    """
    for increment in increments:
        files = source.catalog.merged[increment]
        places = source.catalog.places(increment)
        if files.sigtar is None or _opens(source.opener, places[files.sigtar]):
            continue
        others = (files.manifest, *files.volumes.values())
        if any(_opens(source.opener, places[name]) for name in others[:_MOST_TRIED] if name is not None):
            return IntegrityError(f"{places[files.sigtar]}: this sigtar is damaged: it cannot be decrypted as the rest")
        break
    return error


def _opens(opener: Opener, path: Path) -> bool:
    try:
        with opener.opened(path) as read:
            return bool(read(1))
    except (DecryptionFailed, FileDamaged, OSError):
        return False
