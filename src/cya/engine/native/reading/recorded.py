"""What the sigtar of one backup records of the paths in it.

Of a regular file that is a signature: no exact size, but a range of sizes, and sums by which the content can be told
from any other. Only a digest of the signature is kept.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cya.engine.native.reading.opening import FileDamaged, Opener
from cya.engine.native.sigtar_entries import Entry, SigtarMalformed, entries
from cya.errors import IntegrityError
from cya.format import signature
from cya.format.key import path_of
from cya.format.tar_header import END
from cya.format.tar_reader import TarError, TarReader

_AT_ONCE = 1 << 18
_MOST_PADDING = 1 << 20
"""Bytes after the end of a tar; Python's tarfile writes up to 10 KiB."""
_LONGEST_BLOCK = 1 << 26
"""Bytes: that of a file of four petabytes. Somebody has to hold one in memory."""
_NO_NAMES = frozenset((b"", b".", b".."))
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)


class Recorded(NamedTuple):
    """A path as a backup records it.

    :ivar key: path relative to the source, with zero bytes between components; ``b""`` is the source itself.
    :ivar number: of the sigtar, among those that are read.
    :ivar mode: type and permissions; 0: it was deleted.
    :ivar mtime: whole seconds since the epoch; of links and devices it says nothing.
    :ivar link: target of a symbolic link.
    :ivar device: major and minor number of a device.
    :ivar block: bytes of a block of the signature; 0 for anything but a regular file, as all that follows.
    :ivar smallest, largest: the sizes between which the file's was.
    :ivar digest: of the signature, by :func:`new_digest`.
    """

    key: bytes
    number: int
    mode: int = 0
    uid: int = 0
    gid: int = 0
    uname: bytes = b""
    gname: bytes = b""
    mtime: int = 0
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    block: int = 0
    smallest: int = 0
    largest: int = 0
    digest: bytes = b""

    @property
    def path(self) -> bytes:
        """The path as people write it; ``.`` is the source itself."""
        return path_of(self.key)

    def is_like(self, other: Recorded) -> bool:
        """Whether both say the same, whichever sigtars they stand in."""
        return self._replace(number=other.number) == other


_decoder = msgspec.msgpack.Decoder(tuple[Any, ...])


def packed(record: Recorded) -> bytes:
    """Return a record as bytes, for a file."""
    return msgspec.msgpack.encode(tuple(record))


def unpacked(data: bytes) -> Recorded:
    """Return a record of what :func:`packed` made of it."""
    fields = list(_decoder.decode(data))
    fields[Recorded._fields.index("device")] = tuple(fields[Recorded._fields.index("device")])
    return Recorded._make(fields)


def new_digest() -> hashlib.blake2b:
    """Return what takes a signature, beginning with its head, and makes a digest of it."""
    return hashlib.blake2b(digest_size=16)


def records(number: int, path: Path, opener: Opener) -> Generator[Recorded, None, None]:
    """Yield what a sigtar says, in its order, as a stream; only at the end it is known that all was right.

    :raises IntegrityError: when it is damaged, or none; also from what is yielded.
    :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
    """
    try:
        with opener.opened(path) as read:
            watched = _Watched(read)
            tar = TarReader(watched.read)
            for entry in entries(tar):
                yield _record(number, entry, tar)
            watched.finish()
    except OSError as error:
        raise IntegrityError(f"{path}: this sigtar cannot be read: {error.strerror or error}") from error
    except (FileDamaged, TarError, SigtarMalformed) as error:
        raise IntegrityError(
            f"{path}: this sigtar is damaged: {error}; `cya check` tells what else is; backups that do not stand on "
            "it are as good as before (--time)"
        ) from error


class _Watched:
    """Sees to it that a tar is read to its end, and has one: it may be cut off where another member might begin."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._last = b""

    def read(self, size: int) -> bytes:
        """Read on."""
        data = self._read(size)
        if data:
            self._last = (data if len(data) >= len(END) else self._last + data)[-len(END) :]
        return data

    def finish(self) -> None:
        """Read the rest.

        :raises SigtarMalformed: when it is too long, or not the end of a tar.
        """
        left = _MOST_PADDING
        while data := self.read(_AT_ONCE):
            left -= len(data)
            if left < 0:
                raise SigtarMalformed("more comes after the end of the tar")
        if self._last != END:
            raise SigtarMalformed("the end of the tar is missing")


def _record(number: int, entry: Entry, tar: TarReader) -> Recorded:
    key, kind, member = entry
    if key and not _NO_NAMES.isdisjoint(key.split(b"\0")):
        raise SigtarMalformed(f"{member.name!r}: not the name of a file")
    if not kind:
        return Recorded(key, number)
    head, digest = _signature(tar, member.size, member.name) if kind == stat.S_IFREG else (None, b"")
    smallest, largest = signature.size_range(head, member.size) if head is not None else (0, 0)
    return Recorded(
        key,
        number,
        kind | (member.mode & 0o7777),
        member.uid,
        member.gid,
        member.uname,
        member.gname,
        member.mtime,
        member.linkname,
        (member.devmajor, member.devminor) if kind in _DEVICES else (0, 0),
        head.block_length if head is not None else 0,
        smallest,
        largest,
        digest,
    )


def _signature(tar: TarReader, size: int, name: bytes) -> tuple[signature.Head, bytes]:
    """Take a signature, which may be of any length; return its head and its digest."""
    digest = new_digest()
    begun = b""

    def take(piece: bytes) -> None:
        nonlocal begun
        if len(begun) < signature.HEAD_SIZE:
            begun += piece[: signature.HEAD_SIZE]
        digest.update(piece)

    tar.copy_data(take)
    try:
        head = signature.parse_head(begun)
        signature.count_blocks(head, size)
    except ValueError as error:
        raise SigtarMalformed(f"{name!r}: {error}") from None
    if head.strong_length != signature.STRONG_LENGTH or head.block_length > _LONGEST_BLOCK:
        raise SigtarMalformed(f"{name!r}: a signature of a kind that duplicity never writes")
    return head, digest.digest()
