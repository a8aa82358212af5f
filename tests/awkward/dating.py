"""Gives files times that do not depend on when, or in what order, they were made."""

from __future__ import annotations

import os
import zlib

from tests.awkward.setting import date

SECOND = 1_000_000_000


def date_all(top: bytes, second: int, *, since: int | None = None) -> None:
    """Give each file a time that follows from its first path; a quarter of them are whole seconds.

    :param second: since 1970, the earliest.
    :param since: nanoseconds; only what was touched then, or in the hour after it. None of it may be locked.
    """
    first: dict[tuple[int, int], bytes] = {}
    for _ in range(2):
        for path, folders, files, fd in os.fwalk(top, topdown=False):
            for name in (*files, *folders, b"."):
                found = os.lstat(name, dir_fd=fd)
                if since is None or since <= found.st_mtime_ns < since + 3600 * SECOND:
                    within, key = path[len(top) :] + b"/" + name, (found.st_dev, found.st_ino)
                    if key not in first or within < first[key]:
                        first[key] = within
                    elif within == first[key]:
                        date(b"/proc/self/fd/%d/" % fd + name, _date(within, second))


def _date(path: bytes, second: int) -> int:
    chance = zlib.crc32(path)
    part = 0 if chance % 4 == 0 else chance * 7919 % SECOND
    return (second + chance % 10_000_000) * SECOND + part
