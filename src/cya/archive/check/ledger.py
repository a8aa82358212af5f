"""Reads the ledger as a check needs it: every entry, or why it cannot be used."""

from __future__ import annotations

import os
import re

from cya.archive.check.tree import Digests
from cya.archive.directories import opened
from cya.archive.ledger import entry_name
from cya.archive.root import Root
from cya.catalog import gap
from cya.format import names
from cya.format.collection import collect
from cya.tree import layout
from cya.tree.chain import Increment

_ENTRY = re.compile(r"(?:full|inc\.(?P<start>[0-9TZ]+)\.to)\.(?P<end>[0-9TZ]+)\.sha256", re.ASCII)
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\n/]+)")


def read(root: Root) -> tuple[dict[Increment, Digests | str], tuple[str, ...]]:
    """Read all entries: the digests of each increment, or what is wrong with its entry; and the paths of foreign files.

    :raises OSError: when the directory cannot be read.
    """
    entries: dict[Increment, Digests | str] = {}
    foreign = []
    try:
        with opened(layout.LEDGER, root.state) as fd:
            for name in sorted(os.listdir(fd)):
                if name.startswith("."):
                    continue  # what a run that was killed left
                increment = increment_of(name)
                if increment is None:
                    foreign.append(f"{layout.STATE}/{layout.LEDGER}/{ascii(name)[1:-1]}")
                else:
                    entries[increment] = _read(name, increment, fd)
    except FileNotFoundError:
        pass
    return entries, tuple(foreign)


def increment_of(entry: str) -> Increment | None:
    """Return the increment that a ledger file is of; the inverse of :func:`cya.archive.ledger.entry_name`."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return None
    try:
        start = names.time_from_name(found["start"].encode()) if found["start"] else None
        increment = Increment(start, names.time_from_name(found["end"].encode()))
        return increment if entry_name(increment) == entry else None
    except ValueError:
        return None


def _read(name: str, increment: Increment, fd: int) -> Digests | str:
    try:
        opened_file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        with open(opened_file, "rb") as file:
            return parse(file.read(), increment)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except ValueError as error:
        return str(error)


def parse(data: bytes, increment: Increment) -> Digests:
    """Read a ledger file: lines of a SHA-256, two spaces and a name.

    :raises ValueError: when it is malformed, or not of all files of this one increment.
    """
    digests: dict[bytes, str] = {}
    if not data.endswith(b"\n"):
        raise ValueError("its end is missing" if data else "it is empty")
    for number, line in enumerate(data[:-1].split(b"\n"), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number} is not a SHA-256, two spaces and a name")
        name = names.parse(found[2])
        if name is None or (name.start, name.end) != (increment.start, increment.end) or found[2] in digests:
            raise ValueError(f"line {number} does not name a file of this increment, or for the second time")
        digests[found[2]] = found[1].decode()
    if lacking := gap(collect(digests).sets[0]):
        raise ValueError(f"it does not name {lacking}")
    return digests
