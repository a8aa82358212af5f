"""The driver of stock duplicity, 0.8.22 to 3.x."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from cya import clock
from cya.engine import checks, duplicity_side, environment, selection, served
from cya.engine import duplicity_options as options
from cya.engine.delivery import Delivery
from cya.engine.duplicity_beside import Beside
from cya.engine.duplicity_errors import KEY_NEEDED, Failure, explain
from cya.engine.duplicity_listing import listed
from cya.engine.duplicity_run import Run
from cya.engine.private import Private
from cya.engine.protocol import BackupJob, Encryption, Entry, Lost, Progress, Report, RestoreJob, Watcher
from cya.engine.volume_progress import backup_ticker, restore_progress
from cya.errors import EngineError, MissingProgram
from cya.format.collection import FileSet, collect

_NOTICE = 3
_INFO = 5
"""Verbosities. At INFO duplicity names every file, which costs it 10 to 15 % of its time with small files."""


class Duplicity:
    """An engine (:class:`cya.engine.protocol.Engine`) that runs the duplicity program.

    A run that was interrupted is never resumed, though duplicity could: it would take the signatures from the source
    as it is now, while the volumes that are already written hold the source as it was. All later increments of a file
    that changed in between are then deltas on the wrong base, and restore wrong data without an error. (Tried with
    0.8.22 and 3.2.1.)
    """

    name = "duplicity"
    restores_damaged = False
    takes_supply = False

    def __init__(self, program: Path | str | None, cache: Path, gnupg_home: Path | None = None) -> None:
        """Take note of where things are; nothing is run or made yet.

        :param program: duplicity's path; None to look for it.
        :param cache: a directory of this user's own, for duplicity's archive-dir and temporary files.
        :param gnupg_home: gpg's directory, if it is not the usual one.
        """
        self._asked_program = program
        self._private = Private(cache)
        self._gnupg_home = gnupg_home

    def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
        """Make one increment; see :meth:`cya.engine.protocol.Engine.backup`.

        :raises ConfigError: for a pattern, a passphrase or a volume size that cannot work.
        :raises ClockError: when the served chain ends at or after ``job.now``.
        :raises IntegrityError: when the served chain is not whole.
        """
        checks.check_job(job)
        chain = served.sets_in(job.target)
        served.check_served(chain, job.target)
        checks.check_clock(chain, job)
        named = job.source
        link, job = _where_it_is(job)
        lines = selection.check(
            job.selection, job.source, link=link, ignorecase_lowers_source=self._dialect.ignorecase_lowers_source
        )
        doing = f"backup of {named}"
        with self._private.opened():
            self.forget_partial([name for files in chain for name in files.names])
            verb = "full" if job.full or not chain else "incremental"
            known = self._private.knows(chain)
            # A full of stock duplicity reads the chain that is there, which may need a key that is not here.
            apart = verb == "full" and not known
            passphrase = self._passphrase_for(job.encryption, known=known)
            delivery = Delivery(job.target, job.now, job.spool)
            places = {"target": job.target, "cache": self._private.cache}
            with (
                served.undone_on_failure(job.target, chain, job.now),
                duplicity_side.placed(job, lines, self._private) as side,
            ):
                run = self._backup_run(job, verb, lines, passphrase, side.options, apart=apart)
                run.tick = backup_ticker(job.target, self._private.temporary, watch, delivery.gone)
                run.gate = delivery.gate if job.spool is not None else None
                run.finish()
                self._raise_if_failed(run, doing, places, way_out=checks.way_out(job.encryption, known=known))
                if apart:
                    served.named(self._private.archive_dir / options.NAME)
                    served.named(job.target)
        start, made = _made(chain, job, verb, delivery.gone)
        if not made:
            raise EngineError(
                f"{doing}: duplicity ended well, but the files of {clock.local(job.now)} are not in {job.target}"
            )
        return Report(
            "full" if start is None else "inc", start, job.now, run.statistics, (*run.lost.values(), *side.lost)
        )

    def entries(self, source: Path, time: int, encryption: Encryption) -> Iterator[Entry]:
        """List a backup; see :meth:`cya.engine.protocol.Engine.entries`.

        Names that are not UTF-8 come last, and of these duplicity does not tell the type: directories with something
        in them are known, everything else is taken for a regular file.
        """
        chain = served.chain_at(source, time)
        with self._private.reading() as scratch:
            view = scratch / "view"
            view.mkdir()
            served.view_of_signatures(chain, source, view)
            run = self._reading_run(encryption, scratch, time, ["list-current-files"], [], _NOTICE)
            run.base = source
            yield from listed(run.records())
            self._raise_if_failed(run, f"list of {source}", {"cache": self._private.cache})

    def restore(self, job: RestoreJob, watch: Watcher | None = None) -> Report:
        """Restore; see :meth:`cya.engine.protocol.Engine.restore`. Each path takes a run of its own."""
        checks.check_directory(job.source, "the source")
        checks.check_directory(job.destination, "the destination")
        job = replace(
            job, destination=job.destination.resolve()
        )  # once: what it is called may change, or lie in itself
        chain = served.chain_at(job.source, job.time)
        lost: list[Lost] = []
        statistics: dict[str, float] = {}
        with self._private.reading() as scratch:
            beside = Beside(job, chain, scratch, self._gnupg_home)
            with beside.prepared():
                for path, into in beside.paths():
                    run = self._restored(job, chain, path, beside.placed(into), watch)
                    lost += run.lost.values()
                    statistics = run.statistics
                more, notes = beside.apply()
        return Report(None, None, job.time, statistics, (*lost, *more), notes=tuple(notes))

    def _restored(
        self,
        job: RestoreJob,
        chain: Sequence[FileSet],
        path: Path | None,
        where: AbstractContextManager[Path],
        watch: Watcher | None,
    ) -> Run:
        with self._private.reading() as scratch:
            view = scratch / "view"
            view.mkdir()
            served.view_of_volumes(chain, job.source, view)
            with where as place:
                run = self._restore_run(job, path, chain, scratch, place, watch)
                doing = f"restore of {path or job.source}"
                places = {"destination": job.destination, "cache": self._private.cache}
                missing = served.missing_volumes(chain, scratch / "archive-dir" / options.NAME)
                self._raise_if_failed(run, doing, places, missing)
        return run

    def forget_partial(self, served: Sequence[bytes]) -> None:
        """Drop what a killed run left; see :meth:`cya.engine.protocol.Engine.forget_partial`."""
        self._private.forget_partial(served)

    @cached_property
    def _program(self) -> str:
        env = environment.clean(self._private.temporary)
        if shutil.which("gpg", path=env["PATH"]) is None:
            raise MissingProgram("gpg is not installed: apt-get install gnupg")
        found = shutil.which(str(self._asked_program or "duplicity"), path=env["PATH"])
        if found is None:
            asked = f"{self._asked_program}: " if self._asked_program else ""
            raise MissingProgram(f"{asked}duplicity is not installed: apt-get install duplicity")
        return found

    @cached_property
    def _dialect(self) -> options.Dialect:
        return options.probe(self._program, environment.clean(self._private.temporary))

    def _backup_run(
        self, job: BackupJob, verb: str, lines: bytes, passphrase: str | None, before: Sequence[str], *, apart: bool
    ) -> Run:
        """Prepare a backup.

        :param before: options that choose what is in it, before all others.
        """
        file_list = self._private.write("patterns", lines) if lines else None
        what = [*before, *selection.options(job.selection, job.source, file_list)]
        if len(what) == len(before) == 1 and what[0].startswith("--include="):
            what = []  # duplicity refuses to include what is included anyway
        words = options.backup(verb, job.now, job.volume_size, what, apart=apart, dry_run=job.dry_run)
        words += [str(job.source), options.url(job.target)]
        temporary = self._private.temporary
        env = self._env(temporary, passphrase, job.source)
        if job.encryption.sign_key:
            env["SIGN_PASSPHRASE"] = job.encryption.passphrase or ""
        run = self._run(job.encryption, self._private.archive_dir, temporary, words, env, job.source, _NOTICE)
        run.stop_at_error = True
        return run

    def _restore_run(
        self,
        job: RestoreJob,
        path: Path | None,
        chain: Sequence[FileSet],
        scratch: Path,
        place: Path,
        watch: Watcher | None,
    ) -> Run:
        # Duplicity asks for room for two volumes of the size that it would make.
        largest = served.largest_volume(chain, scratch / "view")
        words = [f"--volsize={max(1, -(-largest >> 20))}"]
        words += self._dialect.path_to_restore(str(path)) if path is not None else []
        words += ["--numeric-owner"] if job.numeric_owner else []
        words += self._dialect.no_ownership() if os.geteuid() != 0 else []
        run = self._reading_run(
            job.encryption, scratch, job.time, ["restore", *words], [str(place)], _INFO if watch else _NOTICE
        )
        run.base = place
        options.check_expandable(path or "", run.env, "path")
        progress: Callable[..., Progress | None] = restore_progress()
        for record in run.records():
            moved = progress(record)
            if watch is not None and moved is not None:
                watch(moved)
        return run

    def _reading_run(
        self, encryption: Encryption, scratch: Path, time: int, words: list[str], last: list[str], verbosity: int
    ) -> Run:
        """Prepare a run that reads the view in ``scratch``, with an archive-dir there: the backup's is not touched."""
        view, private = scratch / "view", scratch / "archive-dir"
        private.mkdir()
        env = self._env(scratch, encryption.passphrase, *map(Path, last))
        # Whether files are encrypted, and to whom, is known from the files.
        reading = Encryption(passphrase=encryption.passphrase or "")
        words = [*words, f"--time={time}", options.url(view), *last]
        return self._run(reading, private, scratch, words, env, view, verbosity)

    def _run(
        self,
        encryption: Encryption,
        archive_dir: Path,
        temporary: Path,
        words: list[str],
        env: dict[str, str],
        base: Path,
        verbosity: int,
    ) -> Run:
        verb, *rest = words

        def arguments(fd: int) -> list[str]:
            return [verb, *options.common(encryption, archive_dir, temporary, fd, verbosity), *rest]

        return Run(self._program, arguments, env, self._private.cache, base)

    def _env(self, temporary: Path, passphrase: str | None, *paths: Path) -> dict[str, str]:
        env = environment.clean(temporary, passphrase, self._gnupg_home)
        for path in (*paths, self._private.cache):
            options.check_expandable(path, env, "path")
        return env

    def _passphrase_for(self, encryption: Encryption, *, known: bool) -> str | None:
        """Return the passphrase if the run needs it.

        :param known: whether the archive-dir knows the served chain.

        With recipients it is that of the secret key, which need not be there: as long as the archive-dir knows the
        served chain nothing is decrypted. Given a passphrase, duplicity would try.
        """
        if not encryption.recipients:
            return encryption.passphrase
        return None if known else encryption.passphrase

    def _raise_if_failed(
        self,
        run: Run,
        doing: str,
        places: dict[str, Path],
        missing: Iterator[str] | None = None,
        way_out: str = KEY_NEEDED,
    ) -> None:
        if run.failed:
            said = (run.returncode, run.errors, run.copying, run.tails)
            raise explain(Failure(self._program, doing, *said, places, tuple(missing or ()), way_out))


def _where_it_is(job: BackupJob) -> tuple[Path | None, BackupJob]:
    """Return the path by which people know the source if it is read elsewhere, and the job for where it is read.

    Duplicity would save a source that is a link as just that.
    """
    if job.view is not None:
        real, view = job.source.resolve(), job.view
        left_out = tuple(view / path.relative_to(real) for path in job.selection.excluded if path.is_relative_to(real))
        return job.source, replace(job, source=view, selection=replace(job.selection, excluded=left_out))
    if job.source.is_symlink():
        return job.source, replace(job, source=job.source.resolve())
    return None, job


def _made(chain: Sequence[FileSet], job: BackupJob, verb: str, gone: Iterable[bytes]) -> tuple[int | None, bool]:
    """Return where the increment starts, and whether its files are there."""
    start = None if verb == "full" else chain[-1].end
    if job.dry_run:
        return start, True
    names = (*gone, *(name for files in served.sets_in(job.target) for name in files.names))
    found = [files for files in collect(names).sets if (files.start, files.end) == (start, job.now)]
    return start, any(files.is_complete for files in found)
