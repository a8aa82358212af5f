"""Brings ``.dupext`` of a backup here, before all else: what it says is needed when files are made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from types import EllipsisType

from cya.engine.native.reading import tasks
from cya.engine.native.reading.crew import Alone
from cya.engine.native.reading.opening import Opener
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.restoring import Restoring
from cya.engine.native.reading.side import NAMES
from cya.engine.native.reading.steps import Step
from cya.engine.native.reading.target import Existing, Target, path_of
from cya.metadata.side_files import DIRECTORY, is_ours
from cya.supply import Supply

_SMALL = 1 << 26
"""Bytes of a volume that stays here until all else of it is needed, too; a larger one is fetched a second time."""


def brought(
    steps: Sequence[Step], supply: Supply, opener: Opener, place: Path, time: int, restored: Restored
) -> Path | None:
    """Return the directory with the files of ``.dupext``; None if the backup has none.

    :param place: a private directory, where it is made.
    :param time: of the backup, in seconds since the epoch.
    :param restored: is told what of it is lost.
    :raises DecryptionFailed: when nothing at all can be decrypted.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    for name in ("side", "side-work"):
        (place / name).mkdir(0o700)
    root, own = os.open(place / "side", flags), os.open(place / "side-work", flags)
    try:
        setting = tasks.Setting(root, own, "side", -1, [DIRECTORY], Existing.NOTHING, time, True, None, None, b"")
        owners = Owners(numeric=True)
        found = Restored()
        with (
            closing(Alone(setting, lambda _: None, opener)) as crew,
            closing(Target(root, path_of(own), Existing.NOTHING, owners, "side", time)) as target,
        ):
            restoring = Restoring(steps, _Held(supply), crew, path_of(own), [DIRECTORY], found, lambda _: None)
            restoring.restore(target, keep=False)
    finally:
        os.close(own)
        os.close(root)
    restored.damaged.update(found.damaged)
    # Of what has no name here all else tells, too.
    restored.lost.update((key, reason) for key, reason in found.lost.items() if is_ours(key))
    made = place / "side" / os.fsdecode(DIRECTORY)
    return made if any((made / name).exists() for name in NAMES) else None


class _Held:
    """A supply of which most files stay: they are needed again."""

    def __init__(self, supply: Supply) -> None:
        self._supply = supply

    def names(self) -> Iterable[bytes]:
        return self._supply.names()

    def size(self, name: bytes) -> int:
        return self._supply.size(name)

    def order(self, names: Sequence[bytes]) -> None:
        self._supply.order(names)

    def path(self, name: bytes) -> Path | EllipsisType | None:
        return self._supply.path(name)

    def now(self, name: bytes) -> Path | None:
        return self._supply.now(name)

    def release(self, name: bytes) -> None:
        if self._supply.size(name) > _SMALL:
            self._supply.release(name)
