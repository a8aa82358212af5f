"""What a sigtar says, entry by entry, and what several of a chain say together."""

from __future__ import annotations

import heapq
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from cya.format import tar_header
from cya.format.tar_reader import Member, TarReader

_KINDS = {
    tar_header.REGULAR: stat.S_IFREG,
    tar_header.DIRECTORY: stat.S_IFDIR,
    tar_header.SYMLINK: stat.S_IFLNK,
    tar_header.FIFO: stat.S_IFIFO,
    tar_header.CHARACTER: stat.S_IFCHR,
    tar_header.BLOCK_DEVICE: stat.S_IFBLK,
}
_PREFIXES = (b"signature", b"snapshot")
_MOST_IDS = 2**32
_MOST_DEVICES = 2**31


class SigtarMalformed(ValueError):
    """A tar that is no sigtar; the message says why."""


class Entry(NamedTuple):
    """One entry.

    :ivar key: path relative to the source, as in :class:`cya.engine.native.known.Known`.
    :ivar kind: the type as in a mode, such as ``stat.S_IFREG``; 0 for what was deleted.
    """

    key: bytes
    kind: int
    member: Member


class HasKey(Protocol):
    """What is known of a path."""

    @property
    def key(self) -> bytes:
        """The path's key."""


Keyed = TypeVar("Keyed", bound=HasKey)


def entries(tar: TarReader) -> Iterator[Entry]:
    """Yield the entries of a sigtar. Keys ascend strictly.

    :raises SigtarMalformed: for what cannot stand in a sigtar, or not here.
    :raises TarError: when the tar is cut off or malformed.
    """
    before: bytes | None = None
    for member in tar:
        prefix, slash, path = member.name.partition(b"/")
        key = path.rstrip(b"/").replace(b"/", b"\0")
        kind = 0 if prefix == b"deleted" and slash else _kind(member, prefix, slash)
        if before is not None and key <= before:
            raise SigtarMalformed(f"{key!r} comes after {before!r}")
        before = key
        yield Entry(key, kind, member)


def by_key(streams: Sequence[Iterable[Keyed]]) -> Iterator[tuple[bytes, int, Keyed]]:
    """Yield what several sigtars of a chain, the full's first, say; of the same path the newest first.

    :param streams: in the order of their keys.
    :returns: the key, a number that orders those of the same key, and what is said.
    """
    # No two tuples get as far as comparing what is said.
    return heapq.merge(*(_numbered(number, stream) for number, stream in enumerate(streams)))


def newest(streams: Sequence[Iterable[Keyed]]) -> Iterator[Keyed]:
    """Yield, for each path, what the newest of several sigtars says that names it; that it was deleted, too."""
    last = None
    for key, _, said in by_key(streams):
        if key != last:
            yield said
        last = key


def _numbered(number: int, stream: Iterable[Keyed]) -> Iterator[tuple[bytes, int, Keyed]]:
    for said in stream:
        yield said.key, -number, said


def _kind(member: Member, prefix: bytes, slash: bytes) -> int:
    kind = _KINDS.get(member.kind)
    if not slash or kind is None or (prefix == b"signature") != (kind == stat.S_IFREG) or prefix not in _PREFIXES:
        raise SigtarMalformed(f"{member.name!r}: not an entry of a sigtar")
    if member.uid >= _MOST_IDS or member.gid >= _MOST_IDS or max(member.devmajor, member.devminor) >= _MOST_DEVICES:
        raise SigtarMalformed(f"{member.name!r}: a number of an owner or a device is too large")
    return kind
