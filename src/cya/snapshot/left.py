"""Removes what is left of snapshots, whatever kind they are of: after a run, and what a killed run or a power cut left.

They are known by name and mark (``names``), not by a list that may be lost. A marker only says whether it is worth
looking when no snapshots are wanted any more.
"""

from __future__ import annotations

from pathlib import Path

from cya.errors import CyaError
from cya.snapshot.choosing import kinds
from cya.snapshot.names import Owner


def remember(marker: Path) -> None:
    """Note that there may be snapshots from now on."""
    marker.touch(0o600)


def names(owner: Owner) -> list[str]:
    """Return the names of an owner's snapshots. The config's lock is held.

    :raises SnapshotError: when they cannot be listed.
    """
    return [name for kind in kinds() for name in kind.left(owner)]


def remove(owner: Owner, marker: Path, *, asked: bool) -> list[str]:
    """Remove all snapshots of an owner. The config's lock is held, and none of them is mounted in this namespace.

    :param asked: look for them even without the marker.
    :return: what could not be removed, and why.
    """
    if not asked and not marker.exists():
        return []
    trouble = []
    for kind in kinds():
        try:
            kind.remove(owner)
        except CyaError as error:
            trouble.append(f"{error}; the next run tries again")
    if not trouble:
        marker.unlink(missing_ok=True)
    return trouble
