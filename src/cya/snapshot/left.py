"""Removes what is left of snapshots: after a run, and what a killed run or a power cut left.

They are known by name and mark (``names``), not by a list that may be lost. A marker only says of which kinds there may
be some, for when another kind is asked for by now, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cya.errors import CyaError
from cya.snapshot.choosing import AUTO, kinds
from cya.snapshot.names import Owner


def remember(marker: Path, names: Sequence[str]) -> None:
    """Note that there may be snapshots of some kinds from now on, beside those that there may be already."""
    marker.write_text("\n".join({*names, *_remembered(marker)}))


def names(owner: Owner) -> list[str]:
    """Return the names of an owner's snapshots of all kinds. The config's lock is held.

    :raises SnapshotError: when they cannot be listed.
    """
    return [name for kind in kinds() for name in kind.left(owner)]


def remove(owner: Owner, marker: Path, asked: str) -> list[str]:
    """Remove all snapshots of an owner. The config's lock is held, and none of them is mounted in this namespace.

    :param asked: look for this kind, or for all (``auto``), even if the marker does not tell of it.
    :return: what could not be removed, and why.
    """
    remembered, trouble = _remembered(marker), []
    for kind in kinds():
        if kind.name in remembered or asked in (AUTO, kind.name):
            try:
                kind.remove(owner)
            except CyaError as error:
                trouble.append(f"{error}; the next run tries again")
    if not trouble:
        marker.unlink(missing_ok=True)
    return trouble


def _remembered(marker: Path) -> list[str]:
    try:
        return marker.read_text().split()
    except OSError:
        return []
