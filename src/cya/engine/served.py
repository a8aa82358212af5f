"""The chain in a directory of Duplicity files, as far as names tell, and views of it for reading."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cya import clock
from cya.engine import duplicity_options as options
from cya.errors import CyaError, EngineError, IntegrityError, NotInBackup
from cya.format import names
from cya.format.collection import FileSet, collect
from cya.tree.chain import Increment, chains

_APART = os.fsencode(options.PREFIX)
_VOLUME = re.compile(rb"^Volume (\d{1,9}):", re.M)


def sets_in(directory: Path) -> tuple[FileSet, ...]:
    """Return the increments in a directory that have a manifest or a sigtar, by end time.

    :raises EngineError: when the directory cannot be read.
    """
    try:
        found = os.listdir(os.fsencode(directory))
    except OSError as error:
        raise EngineError(f"{directory}: cannot be read: {error.strerror}; is it there, and mounted?") from error
    return tuple(files for files in collect(found).sets if files.metadata)


def check_served(sets: Iterable[FileSet], directory: Path) -> None:
    """Refuse to continue a chain of which duplicity would silently make a new full, or less.

    :raises IntegrityError: when a sigtar or manifest is missing, or an increment without its base is there.
    """
    sets = tuple(sets)
    for files in sets:
        _check_metadata(files, directory)
    orphans = chains(Increment(files.start, files.end) for files in sets).orphans
    if orphans:
        lone = names.manifest(orphans[0].start, orphans[0].end, b"").decode()
        raise IntegrityError(f"{directory}: {lone}: the increment before it is missing; collect at the archive again")


def remove(directory: Path, end: int) -> None:
    """Remove what a failed run made of the increment that should have ended at ``end``, :func:`named` or not."""
    try:
        found = os.listdir(os.fsencode(directory))
    except OSError:
        return
    for name in found:
        read = names.parse(name.removeprefix(_APART))
        if read is not None and read.end == end:
            with suppress(OSError):
                os.unlink(os.path.join(os.fsencode(directory), name))


def identity(directory: Path) -> tuple[int, int] | None:
    """Return what tells a directory from another of its name; None when it is not there."""
    try:
        there = os.stat(directory)
    except OSError:
        return None
    return there.st_dev, there.st_ino


def check_unchanged(directory: Path, before: tuple[int, int] | None, chain: Iterable[FileSet]) -> None:
    """Refuse to go on when somebody has replaced the directory, or removed what was served in it.

    :raises EngineError: when it is not as it was, or cannot be read.
    """
    served = {name for files in chain for name in files.names}
    if identity(directory) != before or not served.issubset(name for sets in sets_in(directory) for name in sets.names):
        raise EngineError(f"{directory}: was changed by somebody else while the backup ran; run again")


@contextmanager
def undone_on_failure(directory: Path, chain: Sequence[FileSet], end: int) -> Iterator[None]:
    """Remove what was made of the increment that ends then, when the block fails; nobody else may touch the directory.

    :raises EngineError: when somebody did.
    """
    before = identity(directory)
    try:
        yield
        check_unchanged(directory, before, chain)
    except BaseException as error:
        remove(directory, end)
        if isinstance(error, CyaError):
            check_unchanged(directory, before, chain)
        raise


def named(directory: Path) -> None:
    """Give the files of a full that was made apart their names, the manifest last: without it nothing is whole.

    :raises EngineError: when the directory cannot be written to.
    """
    place = os.fsencode(directory)
    try:
        found = [name for name in os.listdir(place) if name.startswith(_APART)]
        for name in sorted(found, key=lambda name: b".manifest" in name):
            os.rename(os.path.join(place, name), os.path.join(place, name.removeprefix(_APART)))
    except OSError as error:
        raise EngineError(f"{directory}: a file cannot be renamed: {error.strerror}") from error


def chain_at(directory: Path, time: int) -> tuple[FileSet, ...]:
    """Return the chain up to the backup that ends at ``time``, the full first.

    :raises NotInBackup: when no backup ends then.
    :raises IntegrityError: when increments before it are missing.
    """
    return _chain(sets_in(directory), directory, time)


def chain_of(found: Iterable[bytes], directory: Path, time: int) -> tuple[FileSet, ...]:
    """Return the same, told from names of files alone; also where of an increment only volumes are there.

    :param directory: where they are, for messages.
    """
    return _chain((files for files in collect(found).sets if files.metadata or files.volumes), directory, time)


def _chain(found: Iterable[FileSet], directory: Path, time: int) -> tuple[FileSet, ...]:
    sets = {Increment(files.start, files.end): files for files in found}
    wanted = [increment for increment in sets if increment.end == time]
    if not wanted:
        last = max((increment.end for increment in sets), default=None)
        there = f"the last is of {clock.iso(last)}" if last is not None else "there is none at all"
        raise NotInBackup(f"{directory}: no backup of {clock.iso(time)}; {there}")
    known = chains(sets)
    for increment in wanted:
        chain = known.holding(increment)
        if chain is not None:
            return tuple(sets[each] for each in chain.increments)
    raise IntegrityError(f"{directory}: the backup of {clock.iso(time)} lacks increments before it")


def view_of_volumes(chain: Iterable[FileSet], directory: Path, view: Path) -> None:
    """Link what restoring needs into ``view``: volumes and manifests.

    Without the sigtars, which duplicity would fetch, decrypt and compress again just to have them.

    :raises IntegrityError: names what is missing, as far as names tell.
    """
    for files in chain:
        _check_metadata(files, directory, sigtar=False)
        if not files.volumes or files.missing_volumes:
            number = files.missing_volumes[0].start if files.missing_volumes else 1
            raise IntegrityError(f"{directory}: missing: {_volume(files, number)}")
        _link((*files.volumes.values(), files.manifest or b""), directory, view)


def view_of_signatures(chain: Iterable[FileSet], directory: Path, view: Path) -> None:
    """Link what listing needs into ``view``: sigtars only.

    :raises IntegrityError: names one that is missing.
    """
    for files in chain:
        if files.sigtar is None:
            raise IntegrityError(f"{directory}: missing: {names.sigtar(files.start, files.end, b'').decode()}…")
        _link((files.sigtar,), directory, view)


def largest_volume(chain: Iterable[FileSet], view: Path) -> int:
    """Return the size of the largest volume of a chain in bytes.

    :raises IntegrityError: names a volume that has vanished.
    """
    largest = 0
    for name in (os.fsdecode(name) for files in chain for name in files.volumes.values()):
        try:
            largest = max(largest, (view / name).stat().st_size)
        except OSError as error:
            raise IntegrityError(f"{name}: cannot be read: {error.strerror}") from error
    return largest


def missing_volumes(chain: Iterable[FileSet], fetched: Path) -> Iterator[str]:
    """Yield names of volumes that manifests call for and that are not there.

    :param fetched: a directory with the decrypted manifests.
    """
    for files in chain:
        try:
            manifest = (fetched / names.manifest(files.start, files.end, b"").decode()).read_bytes()
        except OSError:
            continue
        for number in sorted({int(found) for found in _VOLUME.findall(manifest)} - files.volumes.keys()):
            yield _volume(files, number)


def _check_metadata(files: FileSet, directory: Path, *, sigtar: bool = True) -> None:
    if files.conflicts:
        both = b", ".join(files.conflicts).decode()
        raise IntegrityError(f"{directory}: the same file twice: {both}; only one can be right")
    for name, make in ((files.manifest, names.manifest), (files.sigtar, names.sigtar)):
        if name is None and (sigtar or make is names.manifest):
            suffix = next((b".gpg" for known in files.names if known.endswith(b".gpg")), b"")
            lost = make(files.start, files.end, suffix).decode()
            way_out = "; collect at the archive again" if sigtar else ""
            raise IntegrityError(f"{directory}: missing: {lost}{way_out}")


def _volume(files: FileSet, number: int) -> str:
    known = next((names.parse(name) for name in files.names if not name.endswith(b".manifest")), None)
    return names.volume(files.start, files.end, number, known.suffix if known else b"").decode()


def _link(found: Iterable[bytes], directory: Path, view: Path) -> None:
    real = os.fsencode(os.path.realpath(directory))
    for name in found:
        os.symlink(os.path.join(real, name), os.path.join(os.fsencode(view), name))
