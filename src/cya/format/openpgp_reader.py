"""Reads OpenPGP messages that are encrypted with a passphrase, as streams.

Read is what gpg and our own writer make of them: AES in CFB mode with a Modification Detection Code (packet 18), ZIP,
ZLIB, BZip2 or nothing, all forms of lengths (RFC 4880). All else is the gpg program's: public keys, signatures, other
ciphers, AEAD.

Nothing of what is read may be trusted before the end was reached: the code that proves it comes last.
"""

from __future__ import annotations

import bz2
import hashlib
import hmac
from collections.abc import Callable, Iterator

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from isal import igzip_lib

from cya.format.openpgp_packets import Input, MessageDamaged, Packet, Piece, gathered, packet
from cya.format.string_to_key import NotKnown, StringToKey

__all__ = ["MessageDamaged", "NotForUs", "WrongPassphrase", "decrypted"]

_SESSION_KEY, _COMPRESSED, _LITERAL, _PROTECTED = 3, 8, 11, 18
_ALGORITHMS = {7: 16, 8: 24, 9: 32}
"""Bytes of a key, by the number of the algorithm: AES only."""
_DETECTION_SIZE = 22
_AT_ONCE = 1 << 18
_LEAST = 1 << 16
"""Bytes in a piece that is large enough to be worth its steps; one that fits into a processor's cache is best."""
_MOST_INFLATED = 1 << 18
_ZIP, _ZLIB, _BZIP2 = 1, 2, 3
# The stubs take it for an instance.
_BROKEN: tuple[type[Exception], ...] = (OSError, EOFError, igzip_lib.error)  # type: ignore[assignment]


class NotForUs(ValueError):
    """A message of a kind that only the gpg program reads."""


class WrongPassphrase(ValueError):
    """The passphrase is not that of the message (or the message is damaged where one can tell the two)."""


Keys = Callable[[StringToKey, int], bytes]
"""Gives the key of so many bytes for a passphrase, made as the message says; it may remember them."""


def decrypted(read: Callable[[int], bytes], keys: Keys) -> Iterator[Piece]:
    """Yield what a message says, in pieces of any length.

    :param read: gives up to so many bytes of the message, none at the end.
    :raises NotForUs: for what has to be left to gpg; before the first piece.
    :raises WrongPassphrase: before the first piece.
    :raises MessageDamaged: when the message is cut off, malformed, or has been changed. That may be known only at the
        very end.
    """
    message = Input(iter(lambda: read(_AT_ONCE), b""))
    algorithm, key = 0, b""
    while True:
        found = _expected(message)
        if found.tag == _PROTECTED:
            break
        if found.tag != _SESSION_KEY:
            raise NotForUs(f"a packet {found.tag}")
        if not key:
            algorithm, key = _session_key(b"".join(found.body(message)), keys)
        else:
            raise NotForUs("several session keys")
    if not key:
        raise NotForUs("no session key")
    plain = Input(_deciphered(found.body(message), algorithm, key))
    inner = _expected(plain)
    yield from _content(inner, plain, may_be_compressed=True)
    if plain.take(1):
        raise MessageDamaged("something comes after the content")
    if message.take(1):
        raise MessageDamaged("something comes after the message")


def _expected(source: Input) -> Packet:
    found = packet(source)
    if found is None:
        raise MessageDamaged("the message ends where a packet is expected")
    return found


def _session_key(body: bytes, keys: Keys) -> tuple[int, bytes]:
    if len(body) < 4 or body[0] != 4:
        raise NotForUs("a session key of another version")
    algorithm = body[1]
    if algorithm not in _ALGORITHMS:
        raise NotForUs(f"the cipher {algorithm}")
    try:
        how, rest = StringToKey.parse(body[2:])
    except NotKnown as error:
        raise NotForUs(str(error)) from None
    key = keys(how, _ALGORITHMS[algorithm])
    if not rest:
        return algorithm, key
    decryptor = Cipher(AES(key), CFB(bytes(16))).decryptor()
    opened = decryptor.update(rest) + decryptor.finalize()
    if _ALGORITHMS.get(opened[0]) != len(opened) - 1:
        raise WrongPassphrase("the passphrase is wrong")
    return opened[0], opened[1:]


def _deciphered(pieces: Iterator[Piece], algorithm: int, key: bytes) -> Iterator[Piece]:
    """Yield what is encrypted, without the random bytes at the beginning and the code at the end.

    :raises MessageDamaged: after the last piece, when the code does not fit.
    """
    packed = Input(pieces)
    if packed.take(1) != b"\x01":
        raise NotForUs("a protected packet of another version")
    decryptor = Cipher(AES(key), CFB(bytes(16))).decryptor()
    digest = hashlib.sha1(usedforsecurity=False)
    begun = decryptor.update(packed.take(18))
    if begun[14:16] != begun[16:18] or len(begun) < 18:
        raise WrongPassphrase("the passphrase is wrong")
    digest.update(begun)
    held = b""
    for part in gathered(packed.rest(), _LEAST):
        # Kept back is one piece, which may have the code, or the beginning of it, at its end.
        opened = decryptor.update(part)
        if len(opened) < _DETECTION_SIZE:
            held += opened
            continue
        digest.update(held)
        yield held
        held = opened
    last, code = held[:-_DETECTION_SIZE], held[-_DETECTION_SIZE:]
    digest.update(last)
    digest.update(code[:2])
    yield last
    if code[:2] != b"\xd3\x14" or not hmac.compare_digest(code[2:], digest.digest()):
        raise MessageDamaged("what is encrypted has been changed")


def _content(found: Packet, source: Input, *, may_be_compressed: bool) -> Iterator[Piece]:
    """Yield the content of a literal packet, compressed or not; what is around it is read to its end."""
    body = found.body(source)
    if found.tag == _LITERAL:
        inner = Input(iter(body))
        head = inner.take(2)
        if len(head) < 2 or len(inner.take(head[1] + 4)) < head[1] + 4:
            raise MessageDamaged("cut off in the head of the content")
        yield from inner.rest()
        return
    if found.tag != _COMPRESSED:
        raise NotForUs(f"a packet {found.tag} in the message")
    if not may_be_compressed:
        raise MessageDamaged("compressed twice")
    packed = Input(iter(body))
    algorithm = packed.take(1)
    if not algorithm:
        raise MessageDamaged("cut off in the head of what is compressed")
    inflated = Input(_inflated(algorithm[0], packed))
    yield from _content(_expected(inflated), inflated, may_be_compressed=False)
    if inflated.take(1):
        raise MessageDamaged("something comes after the content")


def _inflated(algorithm: int, packed: Input) -> Iterator[Piece]:
    if algorithm == 0:
        yield from packed.rest()
        return
    if algorithm not in (_ZIP, _ZLIB, _BZIP2):
        raise NotForUs(f"the compression {algorithm}")
    inflate = _inflater(algorithm)
    try:
        for piece in gathered(packed.rest(), _LEAST):
            if inflate.eof:
                raise MessageDamaged("something comes after what is compressed")
            data: Piece = piece
            while data or not (inflate.eof or inflate.needs_input):
                out = inflate.decompress(data, _MOST_INFLATED)
                data = b""
                if out:
                    yield out
            if inflate.unused_data:
                raise MessageDamaged("something comes after what is compressed")
    except _BROKEN as error:
        raise MessageDamaged(f"what is compressed: {error}") from None
    if not inflate.eof:
        raise MessageDamaged("what is compressed is cut off")


def _inflater(algorithm: int) -> igzip_lib.IgzipDecompressor | bz2.BZ2Decompressor:
    if algorithm == _BZIP2:
        return bz2.BZ2Decompressor()
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE if algorithm == _ZIP else igzip_lib.DECOMP_ZLIB)
