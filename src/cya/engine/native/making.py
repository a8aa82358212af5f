"""Makes one increment: opens all that it is written to, has it made, and gives the files their places."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from cya.engine.native import virtual
from cya.engine.native.counters import Counters
from cya.engine.native.file_list import FileList
from cya.engine.native.gpg import Gpg
from cya.engine.native.increment import Increment
from cya.engine.native.index import IndexWriter, Signatures
from cya.engine.native.known import Known
from cya.engine.native.large import LargeFiles
from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.output import Output
from cya.engine.native.packer import Packer
from cya.engine.native.plan import ref_of, unit_capacity
from cya.engine.native.pool import Pool
from cya.engine.native.scan import Found, Unread
from cya.engine.native.sealing import Sealer, deflated, sealer
from cya.engine.native.sigtars import Sigtars
from cya.engine.native.state import State, Store
from cya.engine.native.survey import Survey, side_entries
from cya.engine.native.volumes import Volumes, volume_name
from cya.engine.protocol import BackupJob, Lost, Progress, VirtualEntry, Watcher
from cya.format import manifest, names, signature
from cya.metadata.former import Former, keep
from cya.metadata.gathered import Gathered
from cya.metadata.side_files import SideFiles

_TICK = 0.2


class Making:
    """One increment being made."""

    def __init__(
        self,
        job: BackupJob,
        lines: bytes,
        state: State,
        store: Store,
        gpg: Gpg,
        salt: bytes,
        root: int,
        temporary: Path,
        started: int,
    ) -> None:
        """Take note of what there is.

        :param lines: the selection's patterns, as they were checked.
        :param salt: for deriving a key from the passphrase.
        :param root: descriptor of the source.
        :param temporary: an empty directory.
        :param started: nanoseconds since the epoch.
        """
        self._job, self._lines, self._state, self._store = job, lines, state, store
        self._gpg, self._salt, self._root = gpg, salt, root
        self._temporary, self._started = temporary, started
        self._start = state.chain[-1].end if state.chain else None
        self._old = OldSignatures(state.sigtars)

    def make(
        self, walk: Iterable[Found | Unread], entries: Mapping[bytes, VirtualEntry], watch: Watcher | None
    ) -> tuple[Counters, list[Lost]]:
        """Make the increment; return what was counted, and what is not in it as it should be.

        :param entries: those that the source does not have, by key.
        """
        job, capacity, known = self._job, unit_capacity(self._job.volume_size << 20), self._state
        seal, suffix = sealer(job.encryption, self._gpg, self._salt)
        pool = Pool(self._root, self._state.sigtars, capacity, len(os.sched_getaffinity(0)))
        output = self._output(seal, suffix)
        inline = partial(Packer, self._root, self._old)
        large = LargeFiles(output, inline(capacity), self._old, capacity)
        side = SideFiles(self._side_place()) if job.metadata else None
        former = Former(self._store.side, self._start)
        survey = Survey(
            self._temporary / "changes", entries, side, metadata=job.metadata, lose=output.lose, former=former
        )
        tick = self._ticker(output, survey, watch)
        try:
            system = (job.gathered or Gathered(job.place)) if job.system else None
            survey.make(walk, known.known(), known.ends, self._size_fits, output.plain, pool.begin, tick)
            output.index.next_run()
            if side is not None:
                files = side.finish(survey.links, system.files() if system is not None else {})
                entries = virtual.by_key((*job.virtual, *side_entries(files)))
            increment = Increment(self._root, pool, output, large, inline, capacity, entries, tick)
            increment.make(survey.changes(entries, known.ends, self._size_fits))
            output.volumes.finish()
            output.sigtars.finish()
            self._write_manifest(output, seal, suffix)
            self._keep(output)
            output.volumes.wait()
        except BaseException:
            output.abandon()
            raise
        finally:
            pool.close()
            self._old.close()
            survey.close()
            if side is not None:
                side.close()
        output.counters.TotalDestinationSizeChange = output.volumes.size
        if output.damaged | self._old.damaged:
            self._store.forget(sorted(output.damaged | self._old.damaged), self._state)
        return output.counters, output.lost

    def _output(self, seal: Sealer, suffix: bytes) -> Output:
        job, start = self._job, self._start
        sigtar = job.target / os.fsdecode(names.sigtar(start, job.now, suffix))
        waiting: Callable[[], None] = lambda: None  # noqa: E731
        return Output(
            Volumes(job.target, volume_name(start, job.now, suffix), seal, job.volume_size << 20, job.spool, waiting),
            Sigtars(seal(sigtar), self._temporary / "sigtar"),
            FileList(self._temporary / "file-list"),
            IndexWriter(self._temporary / "new-index"),
            len(self._state.chain),
            self._started,
        )

    def _side_place(self) -> Path:
        place = self._temporary / "dupext"
        place.mkdir(0o700)
        return place

    def _size_fits(self, known: Known, size: int) -> bool:
        """Whether a file of this size can have an old signature, whose head tells the block length."""
        ref = ref_of(known)
        head = self._old.read(ref._replace(length=min(12, ref.length))) if ref is not None else None
        if head is None or ref is None:
            return True  # nothing is known: Duplicity's own test has to do
        try:
            smallest, largest = signature.size_range(signature.parse_head(head), ref.length)
        except ValueError:
            return False
        return smallest <= size <= largest

    def _write_manifest(self, output: Output, seal: Sealer, suffix: bytes) -> None:
        job = self._job
        head = manifest.Manifest(
            socket.gethostname().encode(), os.fsencode(job.source), tuple(output.volumes.infos), None
        )
        suffix = b"" if suffix == b".gz" else suffix  # duplicity never compresses a plain one
        served = job.target / os.fsdecode(names.manifest(self._start, job.now, suffix))
        local = self._temporary / "manifest"
        with open(os.open(local, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as plain:
            if not suffix:
                with open(os.open(served, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                    for data in output.file_list.manifest(head):
                        plain.write(data)
                        file.write(data)
                return
            sealed = seal(served)
            try:
                for data in output.file_list.manifest(head):
                    plain.write(data)
                    sealed.write(deflated(data))
                sealed.close()
            except BaseException:
                sealed.abandon()
                raise

    def _keep(self, output: Output) -> None:
        """Give what is local its place, now that all else is there."""
        output.file_list.close()
        job, local = self._job, self._store.local
        self._store.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Signatures(self._start, job.now, output.sigtars.crc)
        output.index.finish(os.fsencode(job.source), (*self._state.chain, made))
        os.rename(self._temporary / "sigtar", local(names.sigtar(self._start, job.now, b".gz")))
        os.rename(self._temporary / "manifest", local(names.manifest(self._start, job.now, b"")))
        os.rename(self._temporary / "new-index", self._store.index)
        if job.metadata:
            keep(self._temporary / "dupext", self._store.side, job.now)

    def _ticker(self, output: Output, survey: Survey, watch: Watcher | None) -> Callable[[], None]:
        """Return what tells ``watch`` from time to time how far the run is.

        As long as the walk goes on, the size of the last backup has to do.
        """
        last = time.monotonic()

        def tick() -> None:
            nonlocal last
            now = time.monotonic()
            if watch is None or now < last + _TICK:
                return
            last = now
            counted = output.counters
            note = f"volume {len(output.volumes.infos) + 1}"
            size = survey.total if survey.total is not None else self._state.bytes
            watch(Progress(output.done, size, "bytes", counted.SourceFiles, note))

        return tick
