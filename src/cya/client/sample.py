"""A random sample of files, the same for the same seed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cya.errors import UsageError

_PER_CENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%", re.ASCII)
_WHOLE = 2**64

MOST_SEED = _WHOLE - 1


def rank(key: bytes, seed: int, what: int = 0) -> int:
    """Return a number below 2**64 that looks random, and is the same for the same arguments.

    :param what: something else, below 2**64, in which draws of the same seed are to differ.
    """
    salt, person = seed.to_bytes(16, "big"), what.to_bytes(16, "big")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8, salt=salt, person=person).digest(), "big")


@dataclass(frozen=True)
class Sample:
    """Which files belong to it; each is decided by itself, so that no file's fate depends on others.

    :ivar share: from 0 to 1.
    """

    share: float = 1.0
    seed: int = 0

    def has(self, key: bytes) -> bool:
        """Whether a file, given by its key, belongs to the sample."""
        return rank(key, self.seed) < self.share * _WHOLE


def share(text: str) -> float:
    """Read a share such as ``1%`` or ``0.5%``.

    :raises UsageError: when it is none.
    """
    found = _PER_CENT.fullmatch(text.strip())
    if found is None or float(found[1]) > 100:
        raise UsageError(f"--sample {text!r}: expected a share of the files such as 1%, 0.5% or 100%")
    return float(found[1]) / 100
