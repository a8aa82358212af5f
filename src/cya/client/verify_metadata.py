"""Verify, what the sigtars do not tell: links, ACLs, attributes, exact times, holes, flags and sockets."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from cya.client.chosen import Chosen
from cya.engine.native.known import Stat
from cya.engine.native.reading.extras import NOTHING, Item
from cya.engine.native.reading.side import Side
from cya.engine.native.reading.volume import Wanted
from cya.engine.native.scan import Found
from cya.metadata.attach import ACLS
from cya.metadata.look import Extra

_SECOND = 10**9
_EXACT = (stat.S_IFREG, stat.S_IFDIR)
_NONE = Extra()


class Metadata:
    """What a backup says beside its sigtars, compared with what is found, in the order of keys."""

    def __init__(self, side: Side, chosen: Chosen) -> None:
        """Take note of what there is.

        :raises IntegrityError: when it is damaged; also from all else here.
        """
        wanted = Wanted(key for key in chosen.keys if key)
        self._items = side.items(wanted)
        self._next = next(self._items, None)
        self._exact = side.ours
        sets = [[name for name in names if wanted.holds(name)] for names in side.link_sets()]
        self._set_of = {name: number for number, names in enumerate(sets) for name in names}
        # A backup of 2012 has all names of a file.
        self._links = {name for names in side.link_sets() for name in names[1:]} & self._set_of.keys()
        self._links = self._links if side.ours else set()
        self._sockets = {each.key: each for each in side.sockets(wanted)}
        self._sockets_met: set[bytes] = set()
        self._inodes: dict[bytes, tuple[int, int]] = {}
        self._unmet = set(self._links)
        self._firsts = {names[0]: names[1:] for names in side.link_sets()} if side.ours else {}

    def is_link(self, key: bytes) -> bool:
        """Whether a path is another name of a file that the backup has under its first name."""
        return key in self._links

    def record(self, key: bytes) -> None:
        """Take note of what the archive has."""
        if self._firsts:
            self._firsts.pop(key, None)

    def without_content(self) -> list[bytes]:
        """Return, at the end, the names of files that the archive does not have under the name that they stand for."""
        names = (name for others in self._firsts.values() for name in others)
        return sorted(name for name in names if name in self._links and name not in self._sockets_met)

    def note(self, found: Found) -> None:
        """Take note of something that is there."""
        status = found.stat
        if found.key in self._set_of or (status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)):
            self._inodes[found.key] = (status.st_dev, status.st_ino)
            self._unmet.discard(found.key)

    def differing(self, found: Found, mtime: int) -> Iterator[str]:
        """Yield which of ``mtime``, ``acl``, ``xattrs``, ``flags``, ``holes`` differ.

        :param mtime: as the sigtar has it, in whole seconds since the epoch.
        """
        item, extra = self._item(found.key), found.extra or _NONE
        if _is_other_time(found.stat, item, mtime, exact=self._exact):
            yield "mtime"
        there, was = dict(extra.attributes), dict(item.attributes)
        if os.geteuid():
            was = {name: value for name, value in was.items() if not name.startswith(b"trusted.")}
        for word, acls in (("acl", True), ("xattrs", False)):
            if _some(there, acls=acls) != _some(was, acls=acls):
                yield word
        if extra.flags != item.flags and self._exact:
            yield "flags"
        if extra.extents != item.extents and self._exact:
            yield "holes"

    def socket(self, found: Found) -> tuple[str, ...] | None:
        """Return which of ``mode`` and ``owner`` of a socket differ; None: the backup does not have it."""
        known = self._sockets.pop(found.key, None)
        self._sockets_met.add(found.key)
        if known is None:
            return None
        status = found.stat
        mode = ("mode",) if stat.S_IMODE(status.st_mode) != known.mode else ()
        return mode + (("owner",) if (status.st_uid, status.st_gid) != (known.uid, known.gid) else ())

    def missing(self) -> list[bytes]:
        """Return, at the end, the keys of links and sockets that were not met."""
        return sorted(self._unmet | self._sockets.keys())

    def unlinked(self) -> list[bytes]:
        """Return, at the end, the keys of what is not the same file as it was, among those with several names."""
        inode_of_set: dict[int, tuple[int, int]] = {}
        set_of_inode: dict[tuple[int, int], int | bytes] = {}
        found = []
        for key, inode in sorted(self._inodes.items()):
            number: int | bytes = self._set_of.get(key, key)
            one = set_of_inode.setdefault(inode, number) != number
            if isinstance(number, int):
                one |= inode_of_set.setdefault(number, inode) != inode
            if one:
                found.append(key)
        return found

    def _item(self, key: bytes) -> Item:
        while self._next is not None and self._next[0] < key:
            self._next = next(self._items, None)
        return self._next[1] if self._next is not None and self._next[0] == key else NOTHING


def _is_other_time(status: Stat, item: Item, mtime: int, *, exact: bool) -> bool:
    if item.mtime_ns is not None:
        return status.st_mtime_ns != item.mtime_ns
    return exact and stat.S_IFMT(status.st_mode) in _EXACT and status.st_mtime_ns != mtime * _SECOND


def _some(attributes: Mapping[bytes, bytes], *, acls: bool) -> Mapping[bytes, bytes]:
    return {name: value for name, value in attributes.items() if (name in ACLS) is acls}
