"""Entries of a backup that the source does not have: attributes and content come from the caller."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cya.engine.native.known import VIRTUAL
from cya.engine.native.scan import Found
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


def found(entries: Mapping[bytes, VirtualEntry]) -> Iterator[Found]:
    """Yield the entries, in order, as a walk would."""
    return (_found(key, entries[key]) for key in sorted(entries))


def _found(key: bytes, entry: VirtualEntry) -> Found:
    kind = stat.S_IFDIR if entry.content is None else stat.S_IFREG
    size = 0
    if isinstance(entry.content, bytes):
        size = len(entry.content)
    elif isinstance(entry.content, Path):
        size = entry.content.stat().st_size
    status = os.stat_result(
        (kind | entry.mode, 0, 0, 1, entry.uid, entry.gid, size, entry.mtime, entry.mtime, 0),
        {"st_mtime": float(entry.mtime), "st_ctime_ns": VIRTUAL, "st_rdev": 0},
    )
    return Found(key, status, b"")


def _key(path: bytes) -> bytes:
    return path.replace(b"/", b"\0")
