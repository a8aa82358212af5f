"""Entries of a backup that the source does not have: attributes and content come from the caller."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cya.engine.native.known import VIRTUAL
from cya.engine.native.scan import Found, Unread
from cya.engine.protocol import VirtualEntry
from cya.errors import ConfigError


def by_key(entries: Sequence[VirtualEntry]) -> Mapping[bytes, VirtualEntry]:
    """Return the entries in order, by key.

    :raises ConfigError: for a path that is not below the source, that comes twice, or that lies in another entry that
        is no directory.
    """
    found: dict[bytes, VirtualEntry] = {}
    for entry in sorted(entries, key=lambda each: _key(each.path)):
        key = _key(entry.path)
        parts = key.split(b"\0")
        if not key or any(part in (b"", b".", b"..") for part in parts) or key in found:
            raise ConfigError(f"{os.fsdecode(entry.path)}: no path for an entry of its own in the backup")
        for depth in range(1, len(parts)):
            above = found.get(b"\0".join(parts[:depth]))
            if above is not None and above.content is not None:
                raise ConfigError(f"{os.fsdecode(entry.path)}: lies in what is no directory")
        found[key] = entry
    return found


def merged(walk: Iterable[Found | Unread], entries: Mapping[bytes, VirtualEntry]) -> Iterator[Found | Unread]:
    """Yield what the walk yields and the entries, in order; an entry replaces what the source has there."""
    waiting = iter(entries.items())
    following = next(waiting, None)
    for item in walk:
        while following is not None and following[0] < item.key:
            yield _found(*following)
            following = next(waiting, None)
        if following is not None and following[0] == item.key:
            yield _found(*following)
            following = next(waiting, None)
            if isinstance(item, Unread) and item.below:
                yield item
        else:
            yield item
    while following is not None:
        yield _found(*following)
        following = next(waiting, None)


def _found(key: bytes, entry: VirtualEntry) -> Found:
    kind = stat.S_IFDIR if entry.content is None else stat.S_IFREG
    size = len(entry.content) if isinstance(entry.content, bytes) else 0
    status = os.stat_result(
        (kind | entry.mode, 0, 0, 1, entry.uid, entry.gid, size, entry.mtime, entry.mtime, 0),
        {"st_mtime": float(entry.mtime), "st_ctime_ns": VIRTUAL, "st_rdev": 0},
    )
    return Found(key, status, b"")


def _key(path: bytes) -> bytes:
    return path.replace(b"/", b"\0")
