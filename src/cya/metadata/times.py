"""``times.txtz``: modification times as ``touch -d`` of GNU coreutils takes them, to the nanosecond.

``@1.500000000`` is one and a half seconds after the beginning of 1970, ``@-1.500000000`` as much before it.
"""

from __future__ import annotations

import re
import stat

_SECOND = 10**9
_TEXT = re.compile(rb"@(-?)([0-9]{1,19})(?:\.([0-9]{1,9}))?")


def text(ns: int) -> bytes:
    """Write a time, nanoseconds since the beginning of 1970."""
    seconds, rest = divmod(abs(ns), _SECOND)
    return b"@%s%d.%09d" % (b"-" if ns < 0 else b"", seconds, rest)


def nanoseconds(text: bytes) -> int:
    """Read a time.

    :raises ValueError: when it is none, or one that no 64 bits of seconds hold.
    """
    found = _TEXT.fullmatch(text)
    if found is None or int(found[2]) >= 1 << 63:
        raise ValueError(f"{text[:80]!r} is not a time")
    ns = int(found[2]) * _SECOND + int((found[3] or b"").ljust(9, b"0"))
    return -ns if found[1] else ns


def is_needed(mtime_ns: int, mode: int) -> bool:
    """Say whether the archive cannot hold, or stock duplicity does not restore, the time of a file with this mode.

    An archive has whole seconds since 1970; duplicity sets them on regular files and directories only.
    """
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return True
    return mtime_ns < 0 or mtime_ns % _SECOND != 0
