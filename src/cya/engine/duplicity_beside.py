"""Puts back what ``.dupext`` says, after stock duplicity has restored all else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from cya.engine import placing, scratch
from cya.engine.native.gpg import Gpg
from cya.engine.native.reading import flagging, metadata
from cya.engine.native.reading.applying import Applying
from cya.engine.native.reading.bringing import brought
from cya.engine.native.reading.extras import Extras
from cya.engine.native.reading.linking import Linking
from cya.engine.native.reading.opening import Opener
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.steps import steps
from cya.engine.native.reading.supply import Here
from cya.engine.native.reading.target import Existing, Target, path_of
from cya.engine.native.reading.unset import told_of
from cya.engine.protocol import Lost, RestoreJob
from cya.format.collection import FileSet
from cya.format.key import key_of
from cya.format.key import path_of as path_of_key
from cya.metadata.side_files import DIRECTORY

_EXISTING = {"refuse": Existing.REPLACE, "keep": Existing.KEEP, "replace": Existing.REPLACE, "resume": Existing.REPLACE}
"""Where nothing was there, all that is there now has been restored."""


class Beside:
    """What is kept beside one backup."""

    def __init__(self, job: RestoreJob, chain: Sequence[FileSet], place: Path, gnupg_home: Path | None) -> None:
        """Read it.

        :param place: a private directory.
        :raises DecryptionFailed: when nothing at all can be decrypted.
        """
        self._job, self._place = job, place
        self._restored = Restored()
        opener, supply = Opener(job.encryption.passphrase, Gpg(place, gnupg_home)), Here(job.source)
        known = [step for step, _ in steps(chain, supply, opener)]
        side = brought(known, supply, opener, place, job.time, self._restored)
        self._asked = sorted(key_of(os.fsencode(path)) for path in job.paths)
        self._found = metadata.read(side, self._asked, job.without, place, self._restored)
        self._known = side is not None
        self._kept: frozenset[bytes] = frozenset()
        if job.existing == "keep":
            self._kept = frozenset(key for key in self._keys() if os.path.lexists(self._at(key)))

    def paths(self) -> Iterator[tuple[Path | None, Path | None]]:
        """Yield what duplicity has to restore, and where to below the destination; None is everything."""
        sockets = {each.key for each in self._found.sockets}
        if not self._job.paths:
            yield None, None
        instead = self._found.names.instead
        # What gets another place lies in one of the others, which must be there first.
        for key in sorted(self._found.names.wanted, key=lambda key: key in instead):
            if instead.get(key, key) not in sockets:
                yield _path(key), _path(instead.get(key, key))

    def apply(self) -> tuple[list[Lost], list[str]]:
        """Put it back; return what is not as it was, and notes."""
        if not self._known:
            return [], []
        found, restored, job = self._found, self._restored, self._job
        root = os.open(job.destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        extras = Extras(self._place / found.file if found.file is not None else None)
        owners = Owners(numeric=job.numeric_owner)
        try:
            applying = Applying(root, extras, found.names.instead, self._kept, restored)
            applying.remember(found.names.sets, found.sockets)
            if found.without and not os.path.islink(job.destination / os.fsdecode(DIRECTORY)):
                with suppress(OSError):
                    shutil.rmtree(job.destination / os.fsdecode(DIRECTORY))
            with (
                scratch.held_in(root, job.destination, placing.PREFIX) as work,
                closing(
                    Target(root, path_of(work.fd), _EXISTING[job.existing], owners, "own", job.time, extras)
                ) as target,
            ):
                Linking(root, target, path_of(work.fd), restored, replaces=not found.ours).make(
                    found.names.sets, found.sockets
                )
            applying.apply()
            flagging.set_flags(root, found.flagged, self._kept, restored)
        finally:
            extras.close()
            os.close(root)
        restored.add_unset(target.unset)
        notes, unset = told_of(restored.unset)
        lost = [Lost(os.fsdecode(path_of_key(key)), reason) for key, reason in sorted(restored.lost.items())]
        return lost + unset, notes

    def _keys(self) -> Iterator[bytes]:
        if self._found.file is not None:
            with closing(Extras(self._place / self._found.file)) as extras:
                yield from (key for key, _ in extras.items())

    def _at(self, key: bytes) -> bytes:
        return os.path.join(os.fsencode(self._job.destination), path_of_key(self._found.names.instead.get(key, key)))


def _path(key: bytes) -> Path:
    return Path(os.fsdecode(path_of_key(key)))
