"""The native engine: makes and restores increments in Duplicity's format by itself, on all cores.

What writes and what reads is loaded when it is needed: both together take a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cya.engine.private import Private
from cya.engine.protocol import BackupJob, Encryption, Entry, Report, RestoreJob, Watcher


class Native:
    """An engine (:class:`cya.engine.protocol.Engine`) that writes Duplicity's format itself.

    Its cache is duplicity's archive-dir and an index beside it, so that one may change engines between any two
    backups.
    """

    name = "native"
    restores_damaged = True
    takes_supply = True

    def __init__(self, duplicity: str | None, cache: Path, gnupg_home: Path | None = None) -> None:
        """Take note of where things are; nothing is run or made yet.

        :param duplicity: see :class:`cya.engine.duplicity.Duplicity`, which lists.
        :param cache: a directory of this user's own.
        :param gnupg_home: gpg's directory, if it is not the usual one.
        """
        self._duplicity, self._gnupg_home = duplicity, gnupg_home
        self._private = Private(cache)

    def backup(self, job: BackupJob, watch: Watcher | None = None) -> Report:
        """Make one increment; see :meth:`cya.engine.protocol.Engine.backup`.

        :raises ConfigError: for a pattern, a passphrase or a volume size that cannot work.
        :raises ClockError: when the served chain ends at or after ``job.now``.
        :raises IntegrityError: when the served chain is not whole.
        :raises MissingProgram: without librsync; without gpg, where it is needed.
        """
        from cya.engine.native import writing

        return writing.backup(job, self._private, self._gnupg_home, watch)

    def entries(self, source: Path, time: int, encryption: Encryption) -> Iterator[Entry]:
        """List a backup; see :meth:`cya.engine.protocol.Engine.entries`."""
        from cya.engine.duplicity import Duplicity

        return Duplicity(self._duplicity, self._private.cache, self._gnupg_home).entries(source, time, encryption)

    def restore(self, job: RestoreJob, watch: Watcher | None = None) -> Report:
        """Restore; see :meth:`cya.engine.protocol.Engine.restore`."""
        from cya.engine.native.reading import reader

        return reader.restore(job, self._private, self._gnupg_home, watch)

    def forget_partial(self, served: Sequence[bytes]) -> None:
        """Drop what a killed run left; see :meth:`cya.engine.protocol.Engine.forget_partial`."""
        self._private.forget_partial(served)
