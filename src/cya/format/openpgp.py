"""OpenPGP messages that are encrypted with a passphrase, or only compressed, made of data that are deflated already.

::

    Symmetric-Key Encrypted Session Key   version 4, AES-256, S2K iterated and salted by SHA-256, no session key: it is
                                          what the S2K gives
    Sym. Encrypted Integrity Protected    version 1, in partial lengths; AES-256 in CFB mode
        16 random bytes, the last two of them again
        Compressed Data                   ZIP (raw deflate), of indeterminate length
            Literal Data                  binary, without name and date, of indeterminate length
                the data
        Modification Detection Code       SHA-1 of all of the above

Source: RFC 4880, 3.7, 4.2, 5.3, 5.6, 5.9, 5.13 and 5.14, and what gpg 2.2 and Sequoia read.

The data come as pieces of raw deflate of which each ends at a byte and none is final, as ``Z_FULL_FLUSH`` leaves them:
such pieces are joined by writing one after the other.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from cya.format.string_to_key import StringToKey

SALT_SIZE = 8
PREFIX_SIZE = 16
PART = 1 << 18
"""Bytes of each partial length."""
PARTIAL = bytes([0xE0 | (PART.bit_length() - 1)])
"""What stands before each part but the last one."""

Write = Callable[[bytes | memoryview], object]

_AES_256, _SHA_256, _ITERATED_AND_SALTED = 9, 8, 3
_DETECTION = b"\xd3\x14"
_DETECTION_SIZE = len(_DETECTION) + 20

_LITERAL = b"\xafb\x00\x00\x00\x00\x00"
# A stored block: its length and the complement of that, then the bytes as they are.
_STORED = b"\0" + len(_LITERAL).to_bytes(2, "little") + (0xFFFF ^ len(_LITERAL)).to_bytes(2, "little")
_OPENING = b"\xa3\x01" + _STORED + _LITERAL

SESSION_KEY = bytes([0xC3, 4 + SALT_SIZE + 1, 4, _AES_256, _ITERATED_AND_SALTED, _SHA_256])
"""How each message begins; salt and count follow."""
OPENING_SIZE = len(SESSION_KEY) + SALT_SIZE + 2
"""Bytes before the first length."""
DEFLATED_AT = 1 + PREFIX_SIZE + 2 + len(_OPENING)
"""Bytes of the encrypted packet before what is given to :meth:`Message.write_deflated`, without the lengths."""

_CLOSING = b"\x03\x00"  # an empty block by the fixed codes, marked as the last one


@dataclass(frozen=True)
class SessionKey:
    """A key and what says how to get it from the passphrase; for all messages of a run.

    One key for many messages is safe because each begins with 16 random bytes of its own. In CFB mode what is encrypted
    next depends on all that came before, so these are what an initialisation vector is elsewhere. Who learns the key
    reads all messages of the run and no others; of the passphrase it tells nothing.

    Session keys of their own, encrypted under the passphrase with one salt, would not be safe: they are encrypted with
    a vector of zeros and nothing random before them, all by the same key stream. The difference of two session keys
    could be read from their messages, and who learns one of them has them all.

    :ivar key: 32 bytes.
    :ivar salt: 8 bytes.
    :ivar count_byte: how many bytes were hashed, as OpenPGP writes it.
    """

    key: bytes = field(repr=False)
    salt: bytes
    count_byte: int


def derive(passphrase: bytes, salt: bytes, count_byte: int = 0xFF) -> SessionKey:
    """Make a key of a passphrase; slow on purpose, so once a run.

    The default is the most that there is, 65,011,712 bytes hashed. gpg takes what it can
    hash in 0.1 s, and no more than that.

    :raises ValueError: when the salt has not 8 bytes, or the count is not one byte.
    """
    if len(salt) != SALT_SIZE:
        raise ValueError(f"a salt has {SALT_SIZE} bytes, not {len(salt)}")
    if not 0 <= count_byte <= 0xFF:
        raise ValueError(f"{count_byte} is not a byte")
    count = (16 + (count_byte & 15)) << ((count_byte >> 4) + 6)
    return SessionKey(StringToKey("sha256", salt, count).key(passphrase, 32), salt, count_byte)


class Compressed:
    """A message that is not encrypted.

    gpg encrypts it for public keys as it is with ``--no-literal --compress-algo none``, and what it decrypts that to is
    the data.
    """

    def __init__(self, write: Write) -> None:
        self._write: Write | None = write
        write(_OPENING)

    def write_deflated(self, piece: bytes | memoryview) -> None:
        """Add a piece of raw deflate.

        :raises ValueError: when the message is closed.
        """
        _open(self._write)(piece)

    def close(self) -> None:
        """End the message.

        :raises ValueError: when it is closed already.
        """
        write, self._write = _open(self._write), None
        write(_CLOSING)


class Message:
    """A message that is encrypted.

    What ``write`` is given is overwritten later: it has to take it, or to copy it, before it returns.

    :ivar size: bytes written so far and those still kept back.
    :ivar closing_size: :meth:`close` makes ``size`` grow by that many bytes at most.
    """

    closing_size = len(_CLOSING) + _DETECTION_SIZE + len(PARTIAL) + 5

    def __init__(self, key: SessionKey, write: Write, random_prefix: bytes | None = None) -> None:
        """Begin a message.

        :param random_prefix: 16 bytes, for tests: they must be new for each message of a key.
        :raises ValueError: when the prefix has not 16 bytes.
        """
        prefix = secrets.token_bytes(PREFIX_SIZE) if random_prefix is None else random_prefix
        if len(prefix) != PREFIX_SIZE:
            raise ValueError(f"a prefix has {PREFIX_SIZE} bytes, not {len(prefix)}")
        self._write: Write | None = write
        self._encryptor = Cipher(AES(key.key), CFB(bytes(16))).encryptor()
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._part = memoryview(bytearray(len(PARTIAL) + PART))
        self._part[: len(PARTIAL)] = PARTIAL
        self._body = self._part[len(PARTIAL) :]
        self._body[0] = 1  # the version, which is not encrypted
        self._filled = 1
        opening = _session_key_packet(key) + b"\xd2"
        write(opening)
        self.size = len(opening) + self._filled
        self._add(prefix + prefix[-2:] + _OPENING)

    def write_deflated(self, piece: bytes | memoryview) -> None:
        """Add a piece of raw deflate.

        :raises ValueError: when the message is closed.
        """
        _open(self._write)
        self._add(piece)

    def close(self) -> None:
        """End the message.

        :raises ValueError: when it is closed already.
        """
        write = _open(self._write)
        self._add(_CLOSING + _DETECTION)
        self._add(self._digest.digest())
        length = _length(self._filled)
        write(length)
        write(self._body[: self._filled])
        self.size += len(length)
        self._write = None

    def _add(self, piece: bytes | memoryview) -> None:
        """Hash, encrypt and keep bytes; a full part is written when more comes, so that the last one is never empty."""
        data = memoryview(piece).cast("B")
        done = 0
        while done < len(data):
            if self._filled == PART:
                _open(self._write)(self._part)
                self._filled = 0
                self.size += len(PARTIAL)
            some = data[done : done + PART - self._filled]
            self._digest.update(some)
            self._encryptor.update_into(some, self._body[self._filled : self._filled + len(some)])
            self._filled += len(some)
            done += len(some)
        self.size += len(data)


def _open(write: Write | None) -> Write:
    if write is None:
        raise ValueError("the message is closed")
    return write


def _session_key_packet(key: SessionKey) -> bytes:
    return SESSION_KEY + key.salt + bytes([key.count_byte])


def _length(size: int) -> bytes:
    if size < 192:
        return bytes([size])
    if size < 8384:
        high, low = divmod(size - 192, 256)
        return bytes([192 + high, low])
    return b"\xff" + size.to_bytes(4, "big")
