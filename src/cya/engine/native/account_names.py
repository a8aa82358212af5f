"""Names of users and groups, looked up once each."""

from __future__ import annotations

import grp
import pwd
from functools import lru_cache
from os import fsencode

LONGEST = 32
"""Bytes of a name, as login knows them. A longer one is left out: then the number counts, as it does without one."""


@lru_cache(maxsize=4096)
def user(uid: int) -> bytes:
    """Return a user's name, or nothing where there is none."""
    try:
        return _fitting(fsencode(pwd.getpwuid(uid).pw_name))
    except (KeyError, OverflowError):
        return b""


@lru_cache(maxsize=4096)
def group(gid: int) -> bytes:
    """Return a group's name, or nothing where there is none."""
    try:
        return _fitting(fsencode(grp.getgrgid(gid).gr_name))
    except (KeyError, OverflowError):
        return b""


def _fitting(name: bytes) -> bytes:
    return name if len(name) <= LONGEST else b""
