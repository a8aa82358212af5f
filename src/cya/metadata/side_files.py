"""Writes the files of ``.dupext``, as a walk over a tree tells what there is; none of them need fit into memory.

``format.txt`` in it says what each file holds, and how it is put back. A file changes only when what it tells of does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from cya.metadata import acl, attributes, inode_flags, sockets, sparse, times
from cya.metadata.former import Former
from cya.metadata.guide import guide
from cya.metadata.look import ACCESS, DEFAULT, Extra
from cya.metadata.records import dotted, key_of_dotted

DIRECTORY = b".dupext"
"""In the root of a backup."""

LEFT = frozenset(
    (
        *("acl.txt", "attr.txt", "hardlinks.txtz", "times.txtz", "flags.txtz", "sparse.txtz", "sockets.txtz"),
        *("format.txt", "restore.sh", "system"),
    )
)
"""What may lie there: the cya of 2012 left the first three in the source."""
_BELOW = DIRECTORY + b"\0"
_SECOND = 1_000_000_000
_SCANNED = (stat.S_IFREG, stat.S_IFDIR)


def is_ours(key: bytes) -> bool:
    """Whether a key is that of :data:`DIRECTORY`, or of something in it."""
    return key.startswith(DIRECTORY) and (key == DIRECTORY or key.startswith(_BELOW))


class Status(Protocol):
    """What is needed of an ``os.stat_result``."""

    @property
    def st_mode(self) -> int:
        """Type and permissions."""

    @property
    def st_uid(self) -> int:
        """Its owner."""

    @property
    def st_gid(self) -> int:
        """Its group."""

    @property
    def st_size(self) -> int:
        """In bytes."""

    @property
    def st_mtime_ns(self) -> int:
        """When it was changed, in nanoseconds since the epoch."""


class SideFiles:
    """The files while they are made."""

    def __init__(self, place: Path) -> None:
        """Write nothing yet.

        :param place: an existing directory, private, for the files.
        """
        self._place = place
        self._files: dict[str, BinaryIO] = {}
        self._write_time = self._file("times.txtz").write

    def add(self, key: bytes, status: Status, extra: Extra | None) -> None:
        """Take note of something; keys ascend."""
        modified = status.st_mtime_ns
        kind = status.st_mode & 0o170000
        # As times.is_needed and times.text have it; calls for every file would be felt.
        if modified % _SECOND or modified < 0 or kind not in _SCANNED:
            if modified > 0 and key:
                path = key.replace(b"\0", b"/")
                self._write_time(b"@%d.%09d\0./%b\0" % (modified // _SECOND, modified % _SECOND, path))
            else:
                self._write_time(b"%b\0%b\0" % (times.text(modified), dotted(key)))
        if extra is not None:
            self._extra(key, status, extra)
        if kind == stat.S_IFSOCK:
            text = sockets.text(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
            self._pair("sockets.txtz", text, key)

    def keep(self, former: Former, key: bytes, *, below: bool) -> None:
        """Take over what the last backup had of a path, and of all below it, that could not be looked at.

        :param below: the path itself could be.
        """
        for name in ("times.txtz", "flags.txtz", "sparse.txtz", "sockets.txtz"):
            for text, path in former.pairs(name, key):
                found = key_of_dotted(path)
                if not (below and found == key):
                    self._pair(name, text, found)
        for name in ("acl.txt", "attr.txt"):
            for found, text in former.stanzas(name, key):
                if not (below and found == key):
                    self._file(name).write(text)

    def finish(self, links: Iterable[bytes], system: Mapping[bytes, bytes]) -> dict[bytes, Path | bytes]:
        """Return the content of each file, by its path in :data:`DIRECTORY`; those without content are left out.

        :param links: records of ``hardlinks.txtz``.
        :param system: files of ``system/``, by their names there.
        """
        for record in links:
            self._file("hardlinks.txtz").write(record)
        self.close()
        found: dict[bytes, Path | bytes] = dict(guide())
        for name in self._files:
            path = self._place / name
            if path.stat().st_size:
                found[os.fsencode(name)] = path
        found.update((b"system/" + name, content) for name, content in system.items())
        return found

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def _extra(self, key: bytes, status: Status, extra: Extra) -> None:
        path = key.replace(b"\0", b"/") or b"."
        if extra.attributes:
            given = dict(extra.attributes)
            text = _stanza(path, status.st_uid, status.st_gid, status.st_mode, given.get(ACCESS), given.get(DEFAULT))
            if text:
                self._file("acl.txt").write(text)
            self._file("attr.txt").write(attributes.stanza(path, extra.attributes, lossless=True))
        if extra.flags:
            self._pair("flags.txtz", b"+" + inode_flags.letters(extra.flags), key)
        if extra.extents is not None:
            self._pair("sparse.txtz", sparse.text(status.st_size, extra.extents), key)

    def _pair(self, name: str, text: bytes, key: bytes) -> None:
        self._file(name).write(b"%b\0%b\0" % (text, dotted(key)))

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            descriptor = os.open(self._place / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._files[name] = open(descriptor, "wb", buffering=1 << 18)  # noqa: SIM115 closed by close()
        return self._files[name]


def _stanza(path: bytes, uid: int, gid: int, mode: int, access: bytes | None, default: bytes | None) -> bytes:
    try:
        return acl.stanza(path, uid, gid, mode, access, default)
    except (ValueError, KeyError):
        return b""  # no ACL as the kernel has them; attr.txt has it as it is


def is_in_the_way(root: int) -> bool:
    """Whether a source has something of that name that is its own, and nothing that a cya has left there.

    :param root: descriptor of the source.
    """
    try:
        directory = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not set(os.listdir(directory)) <= LEFT
    finally:
        os.close(directory)
