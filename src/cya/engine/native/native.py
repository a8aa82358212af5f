"""The native engine: makes and restores increments in Duplicity's format by itself, on all cores."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cya.engine import checks, selection, served
from cya.engine.duplicity import Duplicity
from cya.engine.native import dry_run, virtual
from cya.engine.native.gpg import Gpg
from cya.engine.native.index import IndexDamaged
from cya.engine.native.making import Making
from cya.engine.native.reading import reader
from cya.engine.native.salt import salt_of
from cya.engine.native.scan import Scan
from cya.engine.native.state import State, Store
from cya.engine.private import Private
from cya.engine.protocol import BackupJob, Encryption, Entry, Report, RestoreJob, Watcher
from cya.errors import EngineError
from cya.format import librsync
from cya.format.collection import FileSet


class Native:
    """An engine (:class:`cya.engine.protocol.Engine`) that writes Duplicity's format itself.

    Its cache is duplicity's archive-dir and an index beside it, so that one may change engines between any two
    backups.
    """

    name = "native"
    restores_damaged = True
    takes_supply = True

    def __init__(self, reader: Duplicity, cache: Path, gnupg_home: Path | None = None) -> None:
        """Take note of where things are; nothing is run or made yet.

        :param reader: lists and restores.
        :param cache: a directory of this user's own.
        :param gnupg_home: gpg's directory, if it is not the usual one.
        """
        self._reader = reader
        self._private = Private(cache)
        self._gnupg_home = gnupg_home

    def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
        """Make one increment; see :meth:`cya.engine.protocol.Engine.backup`.

        :raises ConfigError: for a pattern, a passphrase or a volume size that cannot work.
        :raises ClockError: when the served chain ends at or after ``job.now``.
        :raises IntegrityError: when the served chain is not whole.
        :raises MissingProgram: without librsync; without gpg, where it is needed.
        """
        started = time.time_ns()
        checks.check_job(job)
        chain = served.sets_in(job.target)
        served.check_served(chain, job.target)
        checks.check_clock(chain, job)
        librsync.library()
        link = job.source if job.source.is_symlink() else None
        job = replace(job, source=job.source.resolve()) if link else job
        lines = selection.check(job.selection, job.source, link=link)
        with self._private.opened():
            self.forget_partial([name for files in chain for name in files.names])
            gpg = Gpg(self._private.temporary, self._gnupg_home)
            store = Store(self._private, gpg, job.source)
            state = State() if job.full else self._state(store, chain, job)
            root = _opened(job.source)
            try:
                scan = Scan(root, job.source, job.selection, lines)
                walk = virtual.merged(scan, virtual.by_key(job.virtual))
                if job.dry_run:
                    counters, lost = dry_run.counted(walk, state, watch)
                else:
                    with served.undone_on_failure(job.target, chain, job.now):
                        salt = salt_of(self._private.cache, job.now)
                        making = Making(job, lines, state, store, gpg, salt, root, self._private.temporary, started)
                        counters, lost = making.make(walk, watch)
            except IndexDamaged as error:
                store.index.unlink(missing_ok=True)
                raise EngineError(f"the cache was damaged while the backup ran ({error}); run again") from error
            except OSError as error:
                raise EngineError(f"backup of {link or job.source}: {_told(error)}") from error
            finally:
                os.close(root)
        counters.SocketsSkipped = scan.sockets
        ended = time.time_ns()
        times = {"StartTime": started / 1e9, "EndTime": ended / 1e9, "ElapsedTime": (ended - started) / 1e9}
        start = state.chain[-1].end if state.chain else None
        return Report("full" if start is None else "inc", start, job.now, {**times, **counters.as_dict()}, tuple(lost))

    def entries(self, source: Path, time: int, encryption: Encryption) -> Iterator[Entry]:
        """List a backup; see :meth:`cya.engine.protocol.Engine.entries`."""
        return self._reader.entries(source, time, encryption)

    def restore(self, job: RestoreJob, watch: Watcher | None = None) -> Report:
        """Restore; see :meth:`cya.engine.protocol.Engine.restore`."""
        return reader.restore(job, self._private, self._gnupg_home, watch)

    def forget_partial(self, served: Sequence[bytes]) -> None:
        """Drop what a killed run left; see :meth:`cya.engine.protocol.Engine.forget_partial`."""
        self._private.forget_partial(served)

    def _state(self, store: Store, chain: Sequence[FileSet], job: BackupJob) -> State:
        known = self._private.knows(chain)
        return store.state(chain, job.target, job.encryption.passphrase, checks.way_out(job.encryption, known=known))


def _opened(source: Path) -> int:
    try:
        return os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"{source}: the source cannot be read: {error.strerror}") from error


def _told(error: OSError) -> str:
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
