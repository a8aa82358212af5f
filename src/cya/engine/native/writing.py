"""Makes backups: what :meth:`cya.engine.protocol.Engine.backup` of the native engine does."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cya.engine import checks, selection, served
from cya.engine.duplicity_side import remove_left
from cya.engine.native import dry_run, virtual
from cya.engine.native.gpg import Gpg
from cya.engine.native.index import IndexDamaged
from cya.engine.native.making import Making
from cya.engine.native.salt import salt_of
from cya.engine.native.scan import Scan
from cya.engine.native.state import State, Store
from cya.engine.private import Private
from cya.engine.protocol import BackupJob, Lost, Report, Watcher
from cya.errors import EngineError
from cya.format import librsync
from cya.format.collection import FileSet
from cya.metadata.look import look
from cya.metadata.side_files import DIRECTORY, is_in_the_way


def backup(job: BackupJob, private: Private, gnupg_home: Path | None, watch: Watcher | None) -> Report:
    """Make one increment; see :meth:`cya.engine.protocol.Engine.backup`."""
    started = time.time_ns()
    checks.check_job(job)
    chain = served.sets_in(job.target)
    served.check_served(chain, job.target)
    checks.check_clock(chain, job)
    librsync.library()
    link = job.source if job.source.is_symlink() else None
    job = replace(job, source=job.source.resolve()) if link else job
    lines = selection.check(job.selection, job.source, link=link)
    with private.opened():
        private.forget_partial([name for files in chain for name in files.names])
        gpg = Gpg(private.temporary, gnupg_home)
        store = Store(private, gpg, job.source)
        state = State() if job.full else _state(store, chain, job, private)
        if job.metadata and not job.dry_run:
            remove_left(job.place)
        root = _opened(job.place)
        try:
            scan = Scan(root, job.source, job.selection, lines, look=look if job.metadata else None, later=True)
            entries = virtual.by_key(job.virtual)
            in_the_way = job.metadata and is_in_the_way(root)
            if job.dry_run:
                counters, lost = dry_run.counted(scan, entries, state, private.temporary, watch, metadata=job.metadata)
            else:
                with served.undone_on_failure(job.target, chain, job.now):
                    salt = salt_of(private.cache, job.now)
                    making = Making(job, lines, state, store, gpg, salt, root, private.temporary, started)
                    counters, lost = making.make(scan, entries, watch)
        except IndexDamaged as error:
            store.index.unlink(missing_ok=True)
            raise EngineError(f"the cache was damaged while the backup ran ({error}); run again") from error
        except OSError as error:
            raise EngineError(f"backup of {link or job.source}: {_told(error)}") from error
        finally:
            os.close(root)
    counters.SocketsSkipped = scan.sockets
    if in_the_way:
        lost.append(
            Lost(os.fsdecode(DIRECTORY), "is left out: it has the name of what is kept beside a backup; rename it")
        )
    ended = time.time_ns()
    times = {"StartTime": started / 1e9, "EndTime": ended / 1e9, "ElapsedTime": (ended - started) / 1e9}
    start = state.chain[-1].end if state.chain else None
    return Report("full" if start is None else "inc", start, job.now, {**times, **counters.as_dict()}, tuple(lost))


def _state(store: Store, chain: Sequence[FileSet], job: BackupJob, private: Private) -> State:
    known = private.knows(chain)
    return store.state(chain, job.target, job.encryption.passphrase, checks.way_out(job.encryption, known=known))


def _opened(source: Path) -> int:
    try:
        return os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EngineError(f"{source}: the source cannot be read: {error.strerror}") from error


def _told(error: OSError) -> str:
    place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return f"{place}{error.strerror or error}"
