"""The salt with which keys are derived from the passphrase: one for all backups of a year.

Deriving a key is slow on purpose, and a restore has to do it for each salt in the chain. With a salt of its own for
each run a chain of 40 would take 40 times as long to begin with. Messages of one key are safe beside each other, see
:class:`cya.format.openpgp.SessionKey`. No salt comes from what is served: the archive could choose one for which it has
tried passphrases already.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from cya.durable import write_file
from cya.format.openpgp import SALT_SIZE

_NAME = "salt"


def salt_of(cache: Path, now: float) -> bytes:
    """Return the salt of this year; a new one where there is none yet.

    :param cache: the engine's directory, of this user alone.
    :param now: seconds since the epoch.
    """
    file = cache / _NAME
    with suppress(OSError):
        known = file.read_bytes()
        if len(known) == SALT_SIZE and _year(file.stat().st_mtime) == _year(now):
            return known
    new = os.urandom(SALT_SIZE)
    directory = os.open(cache, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_file(_NAME, new, dir_fd=directory)
        os.utime(file, (now, now))
    finally:
        os.close(directory)
    return new


def _year(moment: float) -> int:
    return time.gmtime(moment).tm_year
