"""``state/log``: a line for each thing that has happened to a root, for whoever has to know later.

::

    2026-03-02T03:10:00Z commit inc 2026-03-02T03:00:00Z leaf=2000/2020/2026/2026-03/2026-03-01 files=3 bytes=1048576

A line is written after what it tells of, so that it is never of something that did not happen. A run that is killed in
between and run again may write it twice.
"""

from __future__ import annotations

import os
import re

from cya import clock
from cya.archive.root import Root
from cya.printable import printable
from cya.tree import layout
from cya.tree.chain import Increment

_SIZE = re.compile(r" bytes=([0-9]+)$", re.ASCII)


def note(root: Root, now: int, event: str, what: str = "", **facts: object) -> None:
    """Append a line.

    :param now: the archive's clock, seconds since the epoch.
    :param event: one word, such as ``commit``.
    :param what: for people; what a client has chosen in it is escaped.
    """
    words = [clock.iso(now), event, what, *(f"{key}={value}" for key, value in facts.items() if value is not None)]
    line = " ".join(word for word in words if word)
    fd = os.open(
        layout.LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=root.state
    )
    try:
        os.write(fd, f"{printable(line)}\n".encode())
    finally:
        os.close(fd)


def shown(increment: Increment) -> str:
    """Return an increment as it stands in the log."""
    return f"{'full' if increment.is_full else 'inc'} {clock.iso(increment.end)}"


def sizes(root: Root, since: int) -> list[int]:
    """Return the sizes in bytes of the increments that were committed from ``since`` on; fulls are not among them."""
    found = (_SIZE.search(line) for line in tail(root, since, "commit") if " commit inc " in line)
    return [int(match[1]) for match in found if match]


def tail(root: Root, since: int, *events: str) -> list[str]:
    """Return the lines of some events from ``since`` (seconds since the epoch) on.

    Of a longer log the last 16 MiB are read: more than a client can have filled in weeks.
    """
    first = clock.iso(since)
    return [line for line in _last_lines(root, first) if line >= first and event_of(line) in events]


def event_of(line: str) -> str:
    """Return the event that a line is of."""
    return line.split(" ", 2)[1] if " " in line else ""


def _last_lines(root: Root, first: str) -> list[str]:
    """Return lines at the end of the log: those from a time on, and some before."""
    try:
        fd = os.open(layout.LOG, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.state)
    except FileNotFoundError:
        return []
    lines: list[str] = []
    with open(fd, "rb") as file:
        size = os.fstat(fd).st_size
        for length in (64 << 10, 1 << 20, 16 << 20):
            file.seek(max(0, size - length))
            lines = file.read().decode(errors="replace").splitlines()
            if length >= size or (len(lines) > 1 and lines[1] < first):  # the first may lack its beginning
                break
    return lines
