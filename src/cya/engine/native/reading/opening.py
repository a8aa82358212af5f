"""Opens the files of an increment, however they are stored: encrypted in any way, compressed, or plain."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cya.engine.native.gpg import Gpg
from cya.engine.native.members import MemberReader, SignaturesDamaged
from cya.engine.protocol import Encryption
from cya.errors import DecryptionFailed, EngineError, IntegrityError
from cya.format.openpgp_packets import gathered
from cya.format.openpgp_reader import MessageDamaged, NotForUs, WrongPassphrase, decrypted
from cya.format.string_to_key import StringToKey

_AT_ONCE = 1 << 18
_LEAST = 1 << 16

HASHES = frozenset(("md5", "sha1", "sha224", "sha256", "sha384", "sha512"))

Read = Callable[[int], bytes]


class FileDamaged(ValueError):
    """A file of the chain is not what it should be; the message says how."""


class Opener:
    """Opens files, and remembers the keys that it made: those of a run have the same way of making one.

    :ivar consumed: bytes read from files as they are stored; whoever watches sets it back.
    """

    def __init__(self, passphrase: str | None, gpg: Gpg) -> None:
        self._passphrase, self._gpg = passphrase, gpg
        self._keys: dict[tuple[StringToKey, int], bytes] = {}
        self.consumed = 0

    @classmethod
    def of(cls, encryption: Encryption, temporary: Path, gnupg_home: Path | None) -> Self:
        """Return what opens files that are encrypted, and signed, as this says.

        :param temporary: a private directory, for gpg.
        """
        return cls(encryption.passphrase, Gpg(temporary, gnupg_home, encryption.signers))

    @contextmanager
    def opened(self, path: Path) -> Iterator[Read]:
        """Yield what gives up to so many bytes (or a few more) of the content, none at its end.

        Only with the end it is known that all of it was right.

        :raises FileDamaged: when it is missing, cut off or changed; also from what is yielded.
        :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
        """
        try:
            with _Counted(path, self) as file:
                if path.suffix == ".gpg":
                    # Who has signed is gpg's to say.
                    how = self._by_gpg(path) if self._gpg.signers else self._message(path, file.read)
                    with how as read:
                        yield read
                elif self._gpg.signers:
                    raise DecryptionFailed(f"{path.name}: is not signed, and all has to be (sign_key)")
                elif path.suffix == ".gz":
                    yield _told(MemberReader(file).read)
                else:
                    yield file.read
        except OSError as error:
            if error.filename != str(path):
                raise
            raise FileDamaged("is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)) from error

    def content(self, path: Path, most: int) -> bytes:
        """Return all of a small file.

        :raises FileDamaged, DecryptionFailed: as :meth:`opened`; when it has more than ``most`` bytes.
        """
        found = []
        size = 0
        with self.opened(path) as read:
            while data := read(_AT_ONCE):
                size += len(data)
                if size > most:
                    raise FileDamaged(f"has more than {most:,} bytes")
                found.append(data)
        return b"".join(found)

    @contextmanager
    def _message(self, path: Path, read: Read) -> Iterator[Read]:
        pieces = gathered(decrypted(read, self.key), _LEAST)
        try:
            first = bytes(next(pieces, b""))
        except WrongPassphrase:
            raise DecryptionFailed(f"{path.name}: the passphrase is wrong, or the file is damaged") from None
        except MessageDamaged as error:
            raise FileDamaged(str(error)) from None
        except NotForUs:
            with self._by_gpg(path) as stream:
                yield stream
            return
        waiting = [first]

        def one(_size: int) -> bytes:
            if waiting:
                return waiting.pop()
            try:
                return bytes(next(pieces, b""))
            except (MessageDamaged, NotForUs) as error:
                raise FileDamaged(str(error)) from None

        yield one

    @contextmanager
    def _by_gpg(self, path: Path) -> Iterator[Read]:
        try:
            with self._gpg.decrypting(path, self._passphrase) as stream:
                yield stream.read
        except DecryptionFailed:
            raise
        except (IntegrityError, EngineError) as error:
            raise FileDamaged(f"gpg says: {error}") from None

    def key(self, how: StringToKey, size: int) -> bytes:
        """Return the key of so many bytes that the passphrase makes.

        :raises DecryptionFailed: when there is no passphrase.
        """
        if self._passphrase is None:
            raise DecryptionFailed("a passphrase is needed; give it with --passphrase-file")
        key = self._keys.get((how, size))
        if key is None:
            key = how.key(self._passphrase.encode("utf-8", "surrogateescape"), size)
            self._keys[how, size] = key
        return key


class _Counted(io.FileIO):
    """A file of which it is counted how much is read."""

    def __init__(self, path: Path, opener: Opener) -> None:
        super().__init__(path, "rb")
        self._opener = opener

    def read(self, size: int | None = -1) -> bytes:
        try:
            data = super().read(size) or b""
        except OSError as error:
            raise FileDamaged(f"cannot be read: {error.strerror}") from error
        self._opener.consumed += len(data)
        return data


def digest_of(path: Path, algorithm: str) -> str:
    """Return the hash of a file as it is stored, in hexadecimal digits.

    :raises FileDamaged: when it cannot be read, or nobody here knows such a hash.
    """
    if algorithm.lower() not in HASHES:
        raise FileDamaged(f"cannot be proved to be whole: {algorithm} is not known here")
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.file_digest(file, lambda: hashlib.new(algorithm.lower(), usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise FileDamaged("is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)) from error


def _told(read: Read) -> Read:
    def one(size: int) -> bytes:
        try:
            return read(size)
        except SignaturesDamaged as error:
            raise FileDamaged(str(error)) from None

    return one
