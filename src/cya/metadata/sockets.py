"""``sockets.txtz``: ``MODE UID GID`` of sockets, which an archive cannot hold."""

from __future__ import annotations

import re
import stat

_TEXT = re.compile(rb"([0-7]{4}) ([0-9]{1,10}) ([0-9]{1,10})")
_NO_ID = 0xFFFFFFFF
"""No user or group has this number: chown takes it for "leave as it is"."""


def text(mode: int, uid: int, gid: int) -> bytes:
    """Write a socket's permissions, in four octal digits, and owners; its type may be in the mode."""
    return b"%04o %d %d" % (stat.S_IMODE(mode), uid, gid)


def parse(text: bytes) -> tuple[int, int, int]:
    """Read permissions, without the type, and owners.

    :raises ValueError: when it is not that.
    """
    found = _TEXT.fullmatch(text)
    if found is None or not (int(found[2]) < _NO_ID and int(found[3]) < _NO_ID):
        raise ValueError(f"{text[:80]!r} is not a socket's mode and owners")
    return int(found[1], 8), int(found[2]), int(found[3])
