"""Brings the served chain here: what is missing is fetched under another name, what is served no more is removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cya.errors import ArchiveError
from cya.transport.account import Account


def fetch(
    account: Account, served: Mapping[bytes, int], run: Callable[[Sequence[str]], object], fetched: Path, mirror: Path
) -> None:
    """Make ``mirror`` hold exactly the served files, told by name and size.

    :param served: sizes in bytes by name; the names can stand in a batch.
    :param run: carries out a batch in the directory that they are served in.
    :param fetched: an empty directory, or what an earlier try left there, on the same file system.
    :raises ArchiveError: when they cannot be fetched.
    """
    for name in os.listdir(os.fsencode(mirror)):
        if served.get(name) != _size(mirror, name):
            os.unlink(os.path.join(os.fsencode(mirror), name))
    missing = [name for name in sorted(served) if _size(mirror, name) is None]
    if not missing:
        return
    needed = sum(served[name] for name in missing)
    there = os.statvfs(fetched)
    if needed > there.f_bavail * there.f_frsize:
        raise ArchiveError(f"{fetched}: no space for the served chain: it has {needed:,} bytes; make room there")
    try:
        run([f"get {name.decode()} {fetched.name}/{name.decode()}" for name in missing])
    finally:
        for name in missing:
            if _size(fetched, name) == served[name]:
                os.rename(os.path.join(os.fsencode(fetched), name), os.path.join(os.fsencode(mirror), name))
        for name in os.listdir(os.fsencode(fetched)):
            os.unlink(os.path.join(os.fsencode(fetched), name))
    wrong = [name.decode() for name in missing if _size(mirror, name) is None]
    if wrong:
        raise ArchiveError(f"{account.address}: {wrong[0]} changed while it was fetched; run again")


def _size(directory: Path, name: bytes) -> int | None:
    try:
        return os.lstat(os.path.join(os.fsencode(directory), name)).st_size
    except FileNotFoundError:
        return None
