"""What the members of a volume mean: ``snapshot/PATH``, ``diff/PATH``, ``deleted/PATH``, and pieces of large files,
``multivol_snapshot/PATH/NUMBER`` and ``multivol_diff/PATH/NUMBER``. The source itself is ``snapshot/./``.

Pieces are counted from 1 and joined to what a snapshot or diff of the file would be. Stock makes pieces of 64 KiB; they
may have any length.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from cya.format.tar_reader import TarError


class What(IntEnum):
    """What an entry does to its path."""

    SNAPSHOT = 1
    DIFF = 2
    DELETED = 3


class Entry(NamedTuple):
    """An entry.

    :ivar key: path relative to the source, with zero bytes between components; ``b""`` is the source itself.
    :ivar piece: number of a piece, from 1; 0 for what is in one piece.
    """

    what: What
    key: bytes
    piece: int


_WHOLE = {b"snapshot": What.SNAPSHOT, b"diff": What.DIFF, b"deleted": What.DELETED}
_PIECES = {b"multivol_snapshot": What.SNAPSHOT, b"multivol_diff": What.DIFF}
_UNSAFE = frozenset((b"", b".", b".."))
_LONGEST_NUMBER = 18


def entry(name: bytes) -> Entry:
    """Read a member's name.

    :raises TarError: for one that is none of a volume's, or whose path leads anywhere but down from the source.
    """
    prefix, slash, path = name.partition(b"/")
    what, piece = _WHOLE.get(prefix), 0
    if what is None:
        what = _PIECES.get(prefix)
        path, _, number = path.rpartition(b"/")
        if what is None or not number.isdigit() or len(number) > _LONGEST_NUMBER or not path:
            raise TarError(f"{name[:200]!r}: not an entry of a volume")
        piece = int(number)
    path = path.removesuffix(b"/")
    if path in (b"", b"."):
        if slash and what is not What.DIFF and not piece:
            return Entry(what, b"", 0)
        raise TarError(f"{name[:200]!r}: not an entry of a volume")
    parts = path.split(b"/")
    if not _UNSAFE.isdisjoint(parts) or b"\0" in path:
        raise TarError(f"{name[:200]!r}: a path that leads elsewhere")
    return Entry(what, b"\0".join(parts), piece)
