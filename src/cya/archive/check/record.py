"""``state/checked.json``: when each increment was last read whole, so that runs with a budget get around.

It holds one time for each increment that is in the tree, and the files that were read of the one increment that the
budget ended in. It is only about the order: without it, or when it is malformed, everything is read again.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import msgspec

from cya.archive.check.tree import Inode
from cya.archive.ledger import entry_name
from cya.archive.root import Root
from cya.durable import write_file
from cya.tree.chain import Increment

CHECKED = "checked.json"


class Begun(msgspec.Struct, frozen=True):
    """A file of an increment that has been read in part: its inode number, its time (ns), its SHA-256."""

    ino: int
    mtime: int
    sha256: str


class Checked(msgspec.Struct):
    """The record: seconds since the epoch by the name of the increment's ledger entry."""

    read: dict[str, int] = {}
    begun: dict[str, list[Begun]] = {}

    def last(self, increment: Increment, now: int) -> int:
        """Return when an increment was last read whole; 0: never. A time in the future was a wrong clock's."""
        last = self.read.get(entry_name(increment), 0)
        return last if last <= now else 0

    def is_whole(self, increment: Increment, now: int) -> None:
        """Note that an increment has been read whole."""
        self.read[entry_name(increment)] = now
        self.begun.pop(entry_name(increment), None)

    def begun_of(self, increment: Increment, mtimes: dict[Inode, int]) -> dict[Inode, str]:
        """Return the digests of the files of an increment that earlier runs read and that are still the same."""
        files = self.begun.get(entry_name(increment), [])
        known = {(f.ino, f.mtime): f.sha256 for f in files}
        return {inode: known[inode[1], time] for inode, time in mtimes.items() if (inode[1], time) in known}


def load(root: Root) -> Checked:
    """Read the record; an empty one when there is none that can be read."""
    try:
        with open(os.open(CHECKED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.state), "rb") as file:
            return msgspec.json.decode(file.read(), type=Checked)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Checked()


def save(root: Root, record: Checked, present: Collection[Increment]) -> None:
    """Write the record durably, without what is not in the tree any more."""
    names = {entry_name(increment) for increment in present}
    record.read = {name: time for name, time in record.read.items() if name in names}
    record.begun = {name: files for name, files in record.begun.items() if name in names}
    write_file(CHECKED, msgspec.json.encode(record) + b"\n", dir_fd=root.state)
