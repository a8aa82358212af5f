"""Does one task, in a worker process or in this one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cya.engine.native.gpg import Gpg
from cya.engine.native.reading import assemble, extract, indexed, salvage, scan_volume, tasks
from cya.engine.native.reading.actions import Actions
from cya.engine.native.reading.extras import Extras
from cya.engine.native.reading.opening import FileDamaged, Opener, digest_of
from cya.engine.native.reading.outcome import Outcome, shortened
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.plan import actions_of
from cya.engine.native.reading.target import Existing, Target, path_of
from cya.engine.native.reading.trouble import unwritable
from cya.engine.native.reading.volume import Entries, Wanted
from cya.errors import DecryptionFailed

_TICK = 0.2


class Performer:
    """Does tasks, one after another."""

    def __init__(
        self, setting: tasks.Setting, say: Callable[[tasks.Tick], object], opener: Opener | None = None
    ) -> None:
        """Take note of what is common to all tasks.

        :param say: is told how far a task is.
        :param opener: what opens files; None: it is made with what the setting says.
        """
        self._setting, self._say = setting, say
        self._work = path_of(setting.work)
        self._opener = opener or _opener(setting)
        self._wanted = Wanted(setting.wanted, setting.without, setting.links)
        self._extras = Extras(self._work / setting.extras if setting.extras is not None else None)
        self._instead = dict(setting.instead)
        self._last = time.monotonic()

    def perform(self, task: tasks.AnyTask) -> tasks.Done | tasks.Damaged:
        """Do a task.

        :raises EngineError: when nothing can be written any more.
        """
        owners = Owners(numeric=self._setting.numeric)
        setting = self._setting
        existing = Existing(setting.existing)
        where = (setting.target, self._work, existing, owners, setting.own, setting.time)
        with closing(Target(*where, self._extras, self._instead)) as to:
            try:
                outcome = self._outcome(task, to)
            except FileDamaged as error:
                return tasks.Damaged(str(error), locked=False)
            except DecryptionFailed as error:
                return tasks.Damaged(str(error), locked=True)
            except OSError as error:
                raise unwritable(error) from error
        self._tick(at_once=True)
        counted = (outcome.files, outcome.size, outcome.kept, owners.not_given)
        return tasks.Done(*counted, outcome.lost, outcome.runs, sorted(outcome.seen), outcome.ends, to.unset)

    def close(self) -> None:
        """Close what is open."""
        self._extras.close()

    def _outcome(self, task: tasks.AnyTask, target: Target) -> Outcome:
        if isinstance(task, tasks.Assemble):
            return assemble.Assemble(task.label, target, self._work).assemble(task.groups)
        path = Path(os.fsdecode(task.path))
        if isinstance(task, tasks.Missing):
            return self._missing(task, path, target)
        with indexed.opened(path, self._opener, task.index, self._wanted.keys) as some:
            if some is not None:
                return self._read(task, Entries(some, self._wanted, proved=True), target)
        # Of what has an index, only what is wanted of it may have been proved before.
        whole = task.index is None or not self._wanted.keys
        proved = isinstance(task, tasks.Extract) and task.proved and whole
        if not proved:
            self._prove(path, task.digest)
        with self._opener.opened(path) as read:
            return self._read(task, Entries(read, self._wanted, proved=proved or task.digest is not None), target)

    def _read(self, task: tasks.Scan | tasks.Extract, entries: Entries, target: Target) -> Outcome:
        if isinstance(task, tasks.Scan):
            return scan_volume.scan(entries, self._work, task.label, self._tick)
        actions = actions_of(self._run(task.actions), task.increment)
        return self._extract(task.increment, task.label, actions, target).extract(entries, self._tick)

    def _extract(self, increment: int, label: str, actions: Actions, target: Target) -> extract.Extract:
        return extract.Extract(increment, label, actions, self._wanted, target, self._work)

    def _missing(self, task: tasks.Missing, path: Path, target: Target) -> Outcome:
        between = salvage.Between(task.ranges, self._wanted)
        run = self._run(task.actions)
        with self._opener.opened(path) as read:
            found = salvage.besides(salvage.entries(read, between), [self._work / name for name in task.besides])
            if not task.extract:
                return salvage.events(found, self._work, task.label)
            lost: list[bytes] = []
            entries = salvage.WithoutFiles(found, actions_of(run, task.increment), lost.append)
            extracting = self._extract(task.increment, task.label, actions_of(run, task.increment), target)
            outcome = extracting.extract(entries, self._tick)
            outcome.lost += [(shortened(key), "") for key in lost]
            outcome.seen.update(n for key in lost if (n := self._wanted.number(key)) is not None)
            return outcome

    def _prove(self, path: Path, digest: tuple[str, str] | None) -> None:
        """Look at the hash of a volume, or, where none is known, at the code that it carries itself."""
        if digest is not None:
            algorithm, digits = digest
            if digest_of(path, algorithm) != digits:
                raise FileDamaged(f"its {algorithm} is not what the manifest says")
            return
        with self._opener.opened(path) as read:
            while read(1 << 18):
                pass

    def _run(self, name: str | None) -> Path | None:
        return self._work / name if name is not None else None

    def _tick(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now > self._last + _TICK:
            self._last = now
            consumed, self._opener.consumed = self._opener.consumed, 0
            self._say(tasks.Tick(consumed))


def _opener(setting: tasks.Setting) -> Opener:
    home = Path(os.fsdecode(setting.gnupg_home)) if setting.gnupg_home else None
    passphrase = setting.passphrase.decode("utf-8", "surrogateescape") if setting.passphrase is not None else None
    return Opener(passphrase, Gpg(Path(os.fsdecode(setting.temporary)), home, setting.signers))
