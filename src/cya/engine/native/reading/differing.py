"""In what something differs from what a backup recorded of it, as far as that is told without reading it."""

from __future__ import annotations

import os
import stat

from cya.engine.native import account_names
from cya.engine.native.known import Stat, seconds
from cya.engine.native.reading.recorded import Recorded
from cya.engine.native.scan import Found

_WITH_TIME = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO)


class Differing:
    """Compares as Duplicity's own change test does, whose format holds no time of links and devices.

    :ivar by_name: owners may also be the same by name, as after a restore to another host.
    :ivar owners: whether owners are compared at all.
    """

    def __init__(self, *, by_name: bool, owners: bool) -> None:
        self.by_name, self.owners = by_name, owners

    def __call__(self, record: Recorded, found: Found) -> tuple[str, ...]:
        """Return which of ``type``, ``mode``, ``owner``, ``mtime``, ``target``, ``device``, ``content`` differ.

        The content does where the size cannot be that of the recorded one.
        """
        status = found.stat
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFMT(record.mode):
            return ("type",)
        differing = []
        if kind == stat.S_IFREG and not record.smallest <= status.st_size <= record.largest:
            differing.append("content")
        if kind == stat.S_IFLNK and found.link != record.link:
            differing.append("target")
        if kind in (stat.S_IFCHR, stat.S_IFBLK) and _device(status.st_rdev) != record.device:
            differing.append("device")
        if kind != stat.S_IFLNK and stat.S_IMODE(status.st_mode) != stat.S_IMODE(record.mode):
            differing.append("mode")
        if self.owners and not self._has_owner(record, status):
            differing.append("owner")
        if kind in _WITH_TIME and seconds(status) != max(0, record.mtime):
            differing.append("mtime")
        return tuple(differing)

    def _has_owner(self, record: Recorded, status: Stat) -> bool:
        if (status.st_uid, status.st_gid) == (record.uid, record.gid):
            return True
        if not self.by_name:
            return False
        user = status.st_uid == record.uid or (record.uname and account_names.user(status.st_uid) == record.uname)
        group = status.st_gid == record.gid or (record.gname and account_names.group(status.st_gid) == record.gname)
        return bool(user and group)


def _device(number: int) -> tuple[int, int]:
    return os.major(number), os.minor(number)
