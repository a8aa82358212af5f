"""Gives what has been made its attributes: owner, extended attributes, time, mode, ACLs, in this order.

A new owner drops capabilities, so these come after him. The mode takes the mark of a half file away; an ACL changes the
mode, and comes last.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress

from cya.engine.native.reading.extras import Item
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.unset import WAS_CHANGED
from cya.format.tar_reader import Member
from cya.metadata import inode_flags, sparse
from cya.metadata.attach import ACLS, attach, told

_SYMLINK = b"2"
_NO_TIME = "times: the system here knows no such time"
_WHEN_EMPTY = inode_flags.of_letters(b"C")

Unset = dict[str, tuple[int, bytes]]
"""What could not be set, of how many files, and the key of the first."""


class Dressing:
    """Gives attributes, and counts what could not be given."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self.unset: Unset = {}

    def prepare(self, fd: int, item: Item) -> None:
        """Set what can only be set on an empty file."""
        if item.flags & _WHEN_EMPTY:
            with suppress(OSError):  # told when the flags are set
                inode_flags.change(fd, inode_flags.get(fd) | item.flags & _WHEN_EMPTY)

    def holes(self, fd: int, key: bytes, item: Item) -> None:
        """Make a file's holes what they were."""
        if item.extents is None:
            return
        try:
            sparse.recreate(fd, item.size, item.extents)
        except ValueError:
            self._note(f"holes: {WAS_CHANGED}", key)
        except OSError as error:
            self._note(f"holes: {(error.strerror or str(error)).lower()}", key)

    def dress(
        self,
        fd: int,
        key: bytes,
        member: Member,
        item: Item,
        owner: tuple[int, int] | None = None,
        *,
        inherits: bool = False,
    ) -> None:
        """Dress a file or a directory.

        :param owner: whose it is, where that is known.
        :param inherits: it may have got ACLs from its directory.
        """
        self._owners.set_of(fd, member, owner)
        if inherits:
            _take_acls(fd)  # before the mode is set, by which they come into force
        if item.attributes:
            self._attach(fd, key, item, acls=False)
        try:
            os.utime(fd, ns=times(member, item))
        except OverflowError:
            self._note(_NO_TIME, key)
        mode = self._owners.mode_of(member)
        if item.group is not None:
            mode = mode & ~stat.S_IRWXG | item.group << 3  # what the mode has there is the mask: the ACL sets it
        os.fchmod(fd, mode)
        if item.attributes:
            self._attach(fd, key, item, acls=True)

    def dress_name(
        self, name: bytes, directory: int, key: bytes, member: Member, item: Item, *, inherits: bool = False
    ) -> None:
        """Dress something that must not be opened; a symbolic link is not followed."""
        self._owners.set_of_name(name, directory, member)
        if member.kind != _SYMLINK:
            if inherits:
                _take_acls(b"/proc/self/fd/%d/%b" % (directory, name))
            _set_mode(name, directory, self._owners.mode_of(member))
        if item.attributes:
            self.attach(b"/proc/self/fd/%d/%b" % (directory, name), key, item)
        try:
            os.utime(name, ns=times(member, item), dir_fd=directory, follow_symlinks=False)
        except OverflowError:
            self._note(_NO_TIME, key)

    def attach(self, place: int | bytes, key: bytes, item: Item) -> None:
        """Set extended attributes and ACLs.

        :param place: a descriptor, or a path, of which a symbolic link at the end is not followed.
        """
        self._attach(place, key, item, acls=False)
        self._attach(place, key, item, acls=True)

    def _attach(self, place: int | bytes, key: bytes, item: Item, *, acls: bool) -> None:
        chosen = [each for each in item.attributes if (each[0] in ACLS) is acls]
        for name, error in attach(place, chosen):
            self._note(told(name, error), key)

    def _note(self, what: str, key: bytes) -> None:
        count, first = self.unset.get(what, (0, key))
        self.unset[what] = count + 1, first


def _take_acls(place: int | bytes) -> None:
    for name in ACLS:
        with suppress(OSError):  # there is none
            os.removexattr(place, name)


def _set_mode(name: bytes, directory: int, mode: int) -> None:
    """Set a mode by a name, of nothing but what has it now: a new owner takes the setuid and setgid bits."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            os.chmod(b"/proc/self/fd/%d" % fd, mode)
    finally:
        os.close(fd)


def times(member: Member, item: Item) -> tuple[int, int]:
    """Return when something was read and when it was changed, in nanoseconds: now, and as it was."""
    return time.time_ns(), item.mtime_ns if item.mtime_ns is not None else member.mtime * 1_000_000_000
