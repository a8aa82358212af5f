"""How files of an increment are wrapped: by a passphrase, to public keys, or only compressed.

What comes in is deflated already, in parts that simply join.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from isal import isal_zlib

from cya.engine.native.gpg import Encryptor, Gpg
from cya.engine.native.members import member
from cya.engine.native.tasks import Part
from cya.engine.protocol import Encryption
from cya.format import openpgp, tar_header


def deflated(data: bytes) -> Part:
    """Deflate a little by itself."""
    deflate = isal_zlib.compressobj(1, wbits=-15)
    return Part(deflate.compress(data) + deflate.flush(isal_zlib.Z_FULL_FLUSH), len(data), isal_zlib.crc32(data))


END_OF_TAR = deflated(tar_header.END)


class Sealed(ABC):
    """A file that is being written.

    :ivar path: its place; it must not be there yet, but for one that is to be written over.
    :ivar takes_index: whether a part of it can be read without all before it.
    """

    takes_index = False

    def __init__(self, path: Path, *, over: bool = False) -> None:
        """Make the file.

        :param over: it is there, and is written over from its beginning; what is left of it is cut off at the end. In
            a snapshot of its file system its blocks are kept once, however many files are made one after the other.
        """
        self.path = path
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if over else os.O_CREAT | os.O_EXCL)
        self._file: BinaryIO = open(os.open(path, flags, 0o600), "wb")  # noqa: SIM115
        self._hash = hashlib.sha1(usedforsecurity=False)

    @property
    @abstractmethod
    def final_size(self) -> int:
        """The size in bytes that the file has when it is closed now; never less than it will be."""

    @abstractmethod
    def write(self, part: Part) -> None:
        """Add a part."""

    def close(self) -> str:
        """Write what is missing and close the file; return its SHA-1 as the manifest has it."""
        try:
            self._end()
            self._file.truncate()
        finally:
            self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._file.close()

    @abstractmethod
    def _end(self) -> None: ...

    def _put(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self._file.write(data)


class Zipped(Sealed):
    """A gzip file: each part is a member, which can be read by itself."""

    _size = 0

    @property
    def final_size(self) -> int:
        """See :class:`Sealed`."""
        return self._size

    def write(self, part: Part) -> None:
        """See :class:`Sealed`."""
        for piece in member(*_order(part)):
            self._put(piece)
            self._size += len(piece)

    def _end(self) -> None:
        pass


class Symmetric(Sealed):
    """An OpenPGP message to a passphrase."""

    takes_index = True

    def __init__(self, path: Path, key: openpgp.SessionKey, *, over: bool = False) -> None:
        super().__init__(path, over=over)
        self._message = openpgp.Message(key, self._put)

    @property
    def final_size(self) -> int:
        """See :class:`Sealed`."""
        return self._message.size + self._message.closing_size

    def write(self, part: Part) -> None:
        """See :class:`Sealed`."""
        self._message.write_deflated(part.deflated)

    def _end(self) -> None:
        self._message.close()


class ByGpg(Sealed):
    """An OpenPGP message to public keys, made by gpg."""

    def __init__(self, path: Path, gpg: Gpg, encryption: Encryption, *, over: bool = False) -> None:
        super().__init__(path, over=over)
        self._file.truncate()  # gpg writes into it by itself
        try:
            self._encryptor = Encryptor(gpg, self._file, encryption)
        except BaseException:
            self._file.close()
            raise

    def abandon(self) -> None:
        """See :class:`Sealed`."""
        self._encryptor.abandon()
        super().abandon()

    def _end(self) -> None:
        self._encryptor.close()
        with open(self.path, "rb") as file:
            while data := file.read(1 << 20):
                self._hash.update(data)


class Wrapped(ByGpg):
    """What gpg only encrypts: the message is compressed by us."""

    def __init__(self, path: Path, gpg: Gpg, encryption: Encryption, *, over: bool = False) -> None:
        super().__init__(path, gpg, encryption, over=over)
        self._message = openpgp.Compressed(self._encryptor.write)
        self._size = 0

    @property
    def final_size(self) -> int:
        """See :class:`Sealed`; gpg adds a byte for each few thousand."""
        return self._size + (self._size >> 10) + self._encryptor.overhead

    def write(self, part: Part) -> None:
        """See :class:`Sealed`."""
        self._message.write_deflated(part.deflated)
        self._size += len(part.deflated)

    def _end(self) -> None:
        self._message.close()
        super()._end()


class Signed(ByGpg):
    """What gpg signs, too: it gets what is in the parts, and compresses it once more."""

    def __init__(self, path: Path, gpg: Gpg, encryption: Encryption, *, over: bool = False) -> None:
        super().__init__(path, gpg, encryption, over=over)
        self._inflate = isal_zlib.decompressobj(wbits=-15)

    @property
    def final_size(self) -> int:
        """See :class:`Sealed`: what gpg has written, and what it may still hold."""
        return os.fstat(self._file.fileno()).st_size + _HELD + self._encryptor.overhead

    def write(self, part: Part) -> None:
        """See :class:`Sealed`."""
        self._encryptor.write(self._inflate.decompress(part.deflated))


_HELD = 1 << 18
"""Bytes that fit into the pipe to gpg and into its buffers."""


class Sealer(Protocol):
    """Makes a sealed file; see :class:`Sealed`."""

    def __call__(self, path: Path, *, over: bool = False) -> Sealed:
        """See above."""


def sealer(encryption: Encryption, gpg: Gpg, salt: bytes) -> tuple[Sealer, bytes]:
    """Return what makes a sealed file, and the ending of its name.

    With a passphrase its key is derived now, once for all files of the run, which is slow on purpose.

    :param salt: see :func:`cya.engine.native.salt.salt_of`.
    """
    if encryption.recipients:
        kind = Signed if encryption.sign_key else Wrapped
        return partial(kind, gpg=gpg, encryption=encryption), b".gpg"
    if encryption.passphrase is not None:
        key = openpgp.derive(encryption.passphrase.encode("utf-8", "surrogateescape"), salt)
        return partial(Symmetric, key=key), b".gpg"
    return Zipped, b".gz"


def _order(part: Part) -> tuple[bytes | memoryview, int, int]:
    return part.deflated, part.crc, part.length
