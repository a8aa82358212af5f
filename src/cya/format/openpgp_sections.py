"""Reads parts of a message that our own writer made, wherever they are in it, without reading what comes before.

In CFB mode each block of 16 bytes can be read with the encrypted one before it; and all partial lengths are alike, so
that the place of a byte in the file can be told. The Modification Detection Code says nothing of a part: who reads one
has to know a hash of it.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from cya.format import openpgp
from cya.format.openpgp_reader import Keys, NotForUs
from cya.format.string_to_key import StringToKey

_BLOCK = 16
_VERSION = 1
"""Bytes of the packet before what is encrypted."""
_HOW = slice(4, openpgp.OPENING_SIZE - 1)
"""Where the message says how to make the key of a passphrase."""


class SectionReader:
    """Reads a message."""

    def __init__(self, read: Callable[[int, int], bytes], keys: Keys) -> None:
        """Make the key.

        :param read: gives so many bytes of the file from an offset on, fewer at its end.
        :raises NotForUs: for a message that our writer did not make.
        """
        head = read(openpgp.OPENING_SIZE, 0)
        if not head.startswith(openpgp.SESSION_KEY) or not head.endswith(b"\xd2") or len(head) < openpgp.OPENING_SIZE:
            raise NotForUs("not made by cya")
        how, _ = StringToKey.parse(head[_HOW])
        self._read, self._key = read, keys(how, 32)

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes of what is deflated, decrypted; fewer where the file ends.

        Nothing proves them: of a file that has been changed, and beyond the end of the data, they are any bytes.
        """
        start = openpgp.DEFLATED_AT + offset
        before = _BLOCK + (start - _VERSION) % _BLOCK
        stored = memoryview(self._stored(start - before, before + size))
        if len(stored) <= before:
            return b""
        decryptor = Cipher(AES(self._key), CFB(stored[:_BLOCK])).decryptor()
        return decryptor.update(stored[_BLOCK:])[before - _BLOCK :]

    def _stored(self, start: int, size: int) -> bytes:
        """Return some of the encrypted packet, without the lengths in it."""
        found = []
        while size > 0:
            part, within = divmod(start, openpgp.PART)
            some = min(size, openpgp.PART - within)
            at = openpgp.OPENING_SIZE + part * (len(openpgp.PARTIAL) + openpgp.PART)
            data = self._read(some, at + self._length_size(at) + within)
            found.append(data)
            start, size = start + some, size - some
            if len(data) < some:
                break
        return b"".join(found)

    def _length_size(self, at: int) -> int:
        """Return how many bytes a length has: only the last one is not partial."""
        first = self._read(1, at)
        if first == b"\xff":
            return 5
        return 2 if b"\xc0" <= first < b"\xe0" else 1
