"""What ``.dupext`` of a backup says, for those who compare or list: where its volumes are here."""

from __future__ import annotations

import os

from cya.client.signatures import Source, Way
from cya.engine.native.reading.bringing import brought
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.side import Side
from cya.engine.native.reading.steps import steps
from cya.engine.native.reading.supply import Here
from cya.errors import IntegrityError


def side_of(source: Source, found: Way) -> Side | None:
    """Return what is kept beside a backup; None if there is nothing, or it is not here.

    It lies in ``source.work``, and is good as long as that is there.

    :raises IntegrityError: when it is damaged.
    :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
    """
    files = [source.catalog.merged[increment] for increment in found.increments]
    if any(each.manifest is None or not each.volumes for each in files):
        return None
    place = source.work / "beside"
    view = place / "chain"
    view.mkdir(0o700, parents=True)
    for increment in found.increments:
        for name, path in source.catalog.places(increment).items():
            (view / os.fsdecode(name)).symlink_to(path.absolute())
    supply, restored = Here(view), Restored()
    known = [step for step, _ in steps(files, supply, source.opener)]
    where = brought(known, supply, source.opener, place, found.end, restored)
    _check(restored)
    return Side(where, (), _damaged) if where is not None else None


def _check(restored: Restored) -> None:
    for name, reason in restored.damaged.items():
        raise IntegrityError(f"{name}: damaged: {reason}; hard links, ACLs and attributes cannot be told")
    for key, reason in restored.lost.items():
        _damaged(key, reason)


def _damaged(key: bytes, reason: str) -> None:
    raise IntegrityError(f"{os.fsdecode(key.replace(bytes(1), b'/'))}: {reason}")
