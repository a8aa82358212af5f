"""Finished uploads, as a client leaves them in ``incoming/next``: volumes, a sigtar, a manifest, ``FINISHED``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cya.format.collection import collect
from cya.transport import marker
from cya.transport.marker import File, Marker
from cya.tree import layout
from tests.standin import increment_names


def upload(root: Path, end: int, data: bytes, files: int, owner: int) -> None:
    """Upload an increment on top of what is served, or a full where that is nothing.

    :param end: its time, seconds since the epoch.
    :param data: the contents of each of its files.
    :param files: how many there are, three or more: volumes, and the sigtar and the manifest.
    :param owner: uid and gid of who uploads.
    """
    target = root / layout.INCOMING / layout.NEXT
    served = collect(os.listdir(os.fsencode(target))).sets
    start = max((each.end for each in served), default=None)
    written = increment_names(start, end, volumes=files - 2)
    digest = hashlib.sha256(data).hexdigest()
    for name in written:
        _write(target / name, data, owner)
    promise = Marker(tuple(File(name, len(data), digest) for name in written))
    _write(target / layout.MARKER, marker.encode(promise), owner)


def _write(path: Path, data: bytes, owner: int) -> None:
    path.write_bytes(data)
    if os.geteuid() == 0:
        os.chown(path, owner, owner)
