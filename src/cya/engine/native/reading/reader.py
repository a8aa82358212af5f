"""Restores: what :meth:`cya.engine.protocol.Engine.restore` of the native engine does."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cya import clock
from cya.engine import checks, placing, scratch, served
from cya.engine.native.reading import bringing, flagging, metadata, tasks
from cya.engine.native.reading.crew import Alone, Crew, Workers
from cya.engine.native.reading.extras import Extras
from cya.engine.native.reading.linking import Linking
from cya.engine.native.reading.opening import Opener
from cya.engine.native.reading.outcome import shortened
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.restoring import Restoring
from cya.engine.native.reading.steps import Step, steps
from cya.engine.native.reading.supply import Here
from cya.engine.native.reading.target import Existing, Target, path_of
from cya.engine.native.reading.trouble import unwritable
from cya.engine.native.reading.unset import told_of
from cya.engine.private import Private
from cya.engine.protocol import Lost, Progress, Report, RestoreJob, Watcher
from cya.errors import DecryptionFailed, EngineError, NotInBackup
from cya.format import key as keys
from cya.format.collection import FileSet
from cya.format.tar_reader import Member
from cya.metadata.look import DEFAULT
from cya.supply import Supply

_FEW = 1 << 25
"""Bytes in volumes, but for the largest one, that are not worth starting processes for."""
_EXISTING = {"refuse": Existing.NOTHING, "keep": Existing.KEEP, "replace": Existing.REPLACE, "resume": Existing.RESUME}


def restore(job: RestoreJob, private: Private, gnupg_home: Path | None, watch: Watcher | None) -> Report:
    """Restore; see :meth:`cya.engine.protocol.Engine.restore`."""
    started = time.time()
    checks.check_directory(job.source, "the source")
    checks.check_directory(job.destination, "the destination")
    destination = job.destination.resolve()
    for path in job.paths or (None,):
        placing.check(destination, path, job.existing)
    supply = job.supply or Here(job.source)
    chain = served.chain_of(supply.names(), job.source, job.time)
    with ExitStack() as until_end:
        root = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        until_end.callback(os.close, root)
        try:
            scratch.remove_stale(root, placing.PREFIX)
            with private.reading() as private_scratch, _working(root, destination) as work:
                whole = _restored(job, chain, supply, root, work, private_scratch, gnupg_home, watch, until_end)
            whole.finish(root)  # only now: the working directory had to be removed from it
        except OSError as error:
            raise unwritable(error) from error
    return _report(job, whole.restored, started)


@contextmanager
def _working(root: int, destination: Path) -> Iterator[scratch.Held]:
    """Make the working directory; what is yielded is not locked by those who inherit it, and may outlive us.

    :raises EngineError: when it cannot be made.
    """
    with scratch.held_in(root, destination, placing.PREFIX) as held:
        try:
            fd = os.open(path_of(held.fd), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise EngineError("/proc: is not mounted; mount it, and restore again") from None
        try:
            yield scratch.Held(held.name, fd)
        finally:
            os.close(fd)


@dataclass
class _Whole:
    """All is there but what the destination itself gets, and flags.

    :ivar top: what attributes the destination gets.
    :ivar kept: keys of what was there, and stays as it is.
    :ivar taken: flags that were taken off for the time of the restore, by key.
    """

    restored: Restored
    target: Target
    owners: Owners
    top: Member | None
    flagged: Sequence[tuple[bytes, int]]
    kept: frozenset[bytes]
    taken: Mapping[bytes, int]

    def finish(self, root: int) -> None:
        """Do what is left."""
        if self.top is not None:
            self.target.dress(root, b"", self.top)
        flagging.set_flags(root, self.flagged, self.kept, self.restored, self.taken)
        self.restored.not_owned += self.owners.not_given
        self.restored.add_unset(self.target.unset)


def _restored(
    job: RestoreJob,
    chain: Sequence[FileSet],
    supply: Supply,
    root: int,
    work: scratch.Held,
    private_scratch: Path,
    gnupg_home: Path | None,
    watch: Watcher | None,
    until_end: ExitStack,
) -> _Whole:
    passphrase = job.encryption.passphrase
    opener = Opener.of(job.encryption, private_scratch, gnupg_home)
    known, restored = _read(chain, supply, opener)
    asked = sorted(keys.key_of(os.fsencode(path)) for path in job.paths)
    setting = tasks.Setting(
        target=root,
        work=work.fd,
        own=work.name.removeprefix(placing.PREFIX),
        channel=-1,
        wanted=asked,
        existing=_EXISTING[job.existing],
        time=job.time,
        numeric=job.numeric_owner,
        passphrase=passphrase.encode("utf-8", "surrogateescape") if passphrase is not None else None,
        gnupg_home=os.fsencode(gnupg_home) if gnupg_home else None,
        signers=list(job.encryption.signers),
        temporary=os.fsencode(private_scratch),
    )
    place = path_of(work.fd)
    side = bringing.brought(known, supply, opener, place, job.time, restored)
    found = metadata.read(side, asked, job.without, place, restored)
    wanted = found.names.wanted
    setting = msgspec.structs.replace(
        setting,
        wanted=wanted,
        without=found.without,
        extras=found.file,
        instead=list(found.names.instead.items()),
        links=found.names.links,
    )
    volumes = [volume for step in known for volume in step.volumes if volume.may_hold(wanted)]
    sizes = {volume: supply.size(volume.name) for volume in volumes}
    told = _Progress(watch, sum(size * (2 if volume.increment else 1) for volume, size in sizes.items()))
    taken = _prepare(job, root, found)
    owners = Owners(numeric=job.numeric_owner)
    extras = until_end.enter_context(closing(Extras(place / found.file if found.file is not None else None)))
    target = Target(root, place, _EXISTING[job.existing], owners, "own", job.time, extras, found.names.instead)
    linking = Linking(root, target, place, restored, replaces=not found.ours)

    def placed(key: bytes) -> bytes:
        return found.names.instead.get(key, key)

    def besides() -> list[Path]:
        others = frozenset(placed(key) for key, same in restoring.kept() if not same)
        return linking.make(found.names.sets, found.sockets, others)

    with closing(target), closing(_crew(setting, list(sizes.values()), told.tick)) as crew:
        restoring = Restoring(known, supply, crew, place, wanted, restored, told.moved)
        top = restoring.restore(target, keep=job.existing == "keep", besides=besides)
        kept = frozenset(placed(key) for key, _ in restoring.kept()) if job.existing == "keep" else frozenset()
    _check_found(wanted, found.names.instead, restored, job)
    return _Whole(restored, target, owners, top, found.flagged, kept, taken)


def _prepare(job: RestoreJob, root: int, found: metadata.Metadata) -> dict[bytes, int]:
    """Take away what would change what is made, or forbid to make it; return the flags that were taken off."""
    taken = flagging.take_off(root, found.flagged) if job.existing in ("replace", "resume") else {}
    if not job.paths and job.existing != "keep":
        with suppress(OSError):  # there is none
            os.removexattr(root, DEFAULT)
    return taken


def _read(chain: Sequence[FileSet], supply: Supply, opener: Opener) -> tuple[list[Step], Restored]:
    """Read the manifests.

    :raises DecryptionFailed: when none can be decrypted, nor anything else.
    """
    known, restored = [], Restored()
    for step, wrong in steps(chain, supply, opener):
        known.append(step)
        if wrong is not None:
            name = (
                step.files.manifest.decode() if step.files.manifest else f"the manifest of {clock.iso(step.files.end)}"
            )
            restored.damaged[name] = wrong
    locked = [step.locked for step in known if step.locked]
    if locked and not any(step.known for step in known):
        _probe(chain, supply, opener, locked[0])
    return known, restored


def _probe(chain: Sequence[FileSet], supply: Supply, opener: Opener, reason: str) -> None:
    """Tell a manifest that is damaged from a passphrase that is wrong: then nothing else can be read, either."""
    for files in chain:
        for name in (files.sigtar, *files.volumes.values()):
            path = supply.now(name) if name is not None else None
            if path is not None:
                try:
                    with opener.opened(path):
                        return
                except (DecryptionFailed, ValueError):
                    break
    raise DecryptionFailed(reason)


def _crew(setting: tasks.Setting, sizes: Sequence[int], tick: Callable[[tasks.Tick], None]) -> Crew:
    workers = min(len(sizes), len(os.sched_getaffinity(0)))
    if workers < 2 or sum(sizes) - max(sizes) < _FEW:
        return Alone(setting, tick)
    return Workers(setting, workers, tick)


def _check_found(wanted: Sequence[bytes], instead: Mapping[bytes, bytes], restored: Restored, job: RestoreJob) -> None:
    """Take note of wanted paths of which there was nothing; what is lost gets the name that is wanted.

    :raises NotInBackup: when there was nothing of any, and all that could tell is whole.
    """
    for key, other in instead.items():
        if (why := restored.lost.pop(shortened(key), None)) is not None:
            restored.lost[shortened(other)] = why
    end = clock.iso(job.time)
    missing = {instead.get(key, key) for number, key in enumerate(wanted) if number not in restored.seen}
    missing -= restored.others
    lost = sorted(restored.lost)
    missing = {key for key in missing if not _holds(lost, key)}
    if missing and not restored.damaged and len(missing) == len(wanted):
        path = os.fsdecode(keys.path_of(min(missing)))
        raise NotInBackup(f"{path}: is not in the backup of {end}; paths are relative to the source")
    for key in missing:
        restored.lost[shortened(key)] = (
            f"nothing of it was found in the backup of {end}, of which files are damaged or missing"
            if restored.damaged
            else f"is not in the backup of {end}; paths are relative to the source"
        )


def _holds(ordered: Sequence[bytes], key: bytes) -> bool:
    """Whether a path, or one that lies below it, is among some in order."""
    place = bisect_left(ordered, key)
    if place < len(ordered) and ordered[place] == key:
        return True
    place = bisect_left(ordered, key + b"\0")
    return place < len(ordered) and ordered[place].startswith(key + b"\0")


def _report(job: RestoreJob, restored: Restored, started: float) -> Report:
    ended = time.time()
    statistics = {
        "StartTime": started,
        "EndTime": ended,
        "ElapsedTime": ended - started,
        "RestoredFiles": restored.files,
        "RestoredFileSize": restored.size,
        "KeptFiles": restored.kept,
    }
    lost = (Lost(os.fsdecode(keys.path_of(key)), reason) for key, reason in sorted(restored.lost.items()))
    damaged = (Lost(name, reason) for name, reason in sorted(restored.damaged.items()))
    notes, unset = told_of(restored.unset)
    if restored.not_owned:
        notes.append(
            f"{restored.not_owned:,} files belong to you and not to whom they did: only root can give them away"
        )
    if restored.kept:
        why = (
            "and stay as they are; --overwrite replaces them"
            if job.existing == "keep"
            else "as they should be, and stay"
        )
        notes.append(f"{restored.kept:,} files were there already, {why}")
    return Report(None, None, job.time, statistics, (*lost, *unset), tuple(damaged), tuple(notes))


class _Progress:
    """Tells who looks on how far a restore is."""

    def __init__(self, watch: Watcher | None, total: int) -> None:
        self._watch, self._total = watch, total
        self._consumed = self._files = 0

    def tick(self, tick: tasks.Tick) -> None:
        self._consumed += tick.consumed
        self._say()

    def moved(self, restored: Restored) -> None:
        self._files = restored.files
        self._say()

    def _say(self) -> None:
        if self._watch is not None:
            self._watch(Progress(min(self._consumed, self._total), self._total, "bytes", self._files))
