"""How OpenPGP makes a key of a passphrase: RFC 4880, 3.7."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

_HASHES = {1: "md5", 2: "sha1", 3: "ripemd160", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}
_SIMPLE, _SALTED, _ITERATED = 0, 1, 3
_SALT = 8


class NotKnown(ValueError):
    """A way that we do not go."""


class StringToKey(NamedTuple):
    """One way.

    :ivar digest: name of the hash.
    :ivar salt: 8 bytes, or none.
    :ivar hashed: bytes that are hashed, at least salt and passphrase once.
    """

    digest: str
    salt: bytes
    hashed: int

    @classmethod
    def parse(cls, data: bytes) -> tuple[StringToKey, bytes]:
        """Read a specifier; return it and what follows.

        :raises NotKnown: for one of another kind, or cut off.
        """
        kind, digest = data[0] if data else -1, _HASHES.get(data[1]) if len(data) > 1 else None
        size = {_SIMPLE: 2, _SALTED: 2 + _SALT, _ITERATED: 3 + _SALT}.get(kind)
        if digest is None or size is None or len(data) < size or digest not in hashlib.algorithms_available:
            raise NotKnown(f"a key made of a passphrase in the way {kind}")
        salt = data[2 : 2 + _SALT] if kind != _SIMPLE else b""
        count = (16 + (data[10] & 15)) << ((data[10] >> 4) + 6) if kind == _ITERATED else 0
        return cls(digest, salt, count), data[size:]

    def key(self, passphrase: bytes, size: int) -> bytes:
        """Return a key of so many bytes; slow on purpose."""
        unit = self.salt + passphrase
        most = max(self.hashed, len(unit))
        repeated = memoryview(unit * max(1, (1 << 16) // max(1, len(unit))))
        key = b""
        zeros = 0
        while len(key) < size:
            digest = hashlib.new(self.digest, bytes(zeros), usedforsecurity=False)
            left = most
            while left > 0:
                digest.update(repeated[:left])
                left -= len(repeated)
            key += digest.digest()
            zeros += 1
        return key[:size]
