"""Who owns what is restored: by name if there is such a name here, else by number."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from functools import lru_cache

from cya.format.tar_reader import Member

_LARGEST = 2**32 - 2
_LONGEST = 256
"""Bytes of a name that is looked up: longer than any that there is, and they are all remembered."""
_SPECIAL = stat.S_ISUID | stat.S_ISGID


class Owners:
    """Gives things their owners, as far as this user may.

    :ivar not_given: number of things that have another owner than they had, since only root can give them that.
    """

    def __init__(self, *, numeric: bool) -> None:
        self._numeric = numeric
        self._uid, self._gid = os.geteuid(), os.getegid()
        self.not_given = 0

    def set_of(self, fd: int, member: Member, now: tuple[int, int] | None = None) -> None:
        """Give what is open its owner.

        :param now: whose it is, where that is known.
        """
        uid, gid = self.of(member)
        if self._uid == 0:
            if (uid, gid) != now:
                os.fchown(fd, uid, gid)
        elif (uid, gid) != (self._uid, self._gid):
            self.not_given += 1

    def set_of_name(self, name: bytes, parent: int, member: Member) -> None:
        """Give something its owner by its name in a directory; a symbolic link is not followed."""
        uid, gid = self.of(member)
        if self._uid == 0:
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
        elif (uid, gid) != (self._uid, self._gid):
            self.not_given += 1

    def mode_of(self, member: Member) -> int:
        """Return the mode that something should get: what runs as its owner must not run as somebody else."""
        given = self._uid == 0 or self.of(member) == (self._uid, self._gid)
        return member.mode if given else member.mode & ~_SPECIAL

    def is_owner(self, there: os.stat_result, member: Member) -> bool:
        """Whether something that is there has the owner that it would get."""
        if self._uid == 0:
            return (there.st_uid, there.st_gid) == self.of(member)
        return there.st_uid == self._uid

    def of(self, member: Member) -> tuple[int, int]:
        """Return whose something should be here."""
        if self._numeric:
            return min(member.uid, _LARGEST), min(member.gid, _LARGEST)
        return _ids(member.uname[:_LONGEST], member.gname[:_LONGEST], member.uid, member.gid)


@lru_cache(4096)
def _ids(owner: bytes, group: bytes, uid: int, gid: int) -> tuple[int, int]:
    return _uid(owner, uid), _gid(group, gid)


@lru_cache(4096)
def _uid(name: bytes, number: int) -> int:
    try:
        return pwd.getpwnam(os.fsdecode(name)).pw_uid if name else min(number, _LARGEST)
    except (KeyError, ValueError):
        return min(number, _LARGEST)


@lru_cache(4096)
def _gid(name: bytes, number: int) -> int:
    try:
        return grp.getgrnam(os.fsdecode(name)).gr_gid if name else min(number, _LARGEST)
    except (KeyError, ValueError):
        return min(number, _LARGEST)
