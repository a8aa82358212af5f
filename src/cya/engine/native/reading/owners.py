"""Who owns what is restored: by name if there is such a name here, else by number."""

from __future__ import annotations

import grp
import os
import pwd
from functools import lru_cache

from cya.format.tar_reader import Member

_LARGEST = 2**32 - 2


class Owners:
    """Gives things their owners, as far as this user may.

    :ivar not_given: number of things that have another owner than they had, since only root can give them that.
    """

    def __init__(self, *, numeric: bool) -> None:
        self._numeric = numeric
        self._uid, self._gid = os.geteuid(), os.getegid()
        self.not_given = 0

    def set_of(self, fd: int, member: Member) -> bool:
        """Give what is open its owner; return whether it has it."""
        uid, gid = self.of(member)
        if self._uid == 0:
            os.fchown(fd, uid, gid)
            return True
        return self._as_user(uid, gid)

    def set_of_name(self, name: bytes, parent: int, member: Member) -> bool:
        """Give something its owner by its name in a directory; a symbolic link is not followed."""
        uid, gid = self.of(member)
        if self._uid == 0:
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
            return True
        return self._as_user(uid, gid)

    def of(self, member: Member) -> tuple[int, int]:
        """Return whose something should be here."""
        if self._numeric:
            return min(member.uid, _LARGEST), min(member.gid, _LARGEST)
        return _uid(member.uname, member.uid), _gid(member.gname, member.gid)

    def _as_user(self, uid: int, gid: int) -> bool:
        if (uid, gid) == (self._uid, self._gid):
            return True
        self.not_given += 1
        return False


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
