"""What a manifest says of one volume, and the order of entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class VolumeInfo:
    """One volume of an increment.

    A block's number is there when the volume's first or last entry is a piece of a file, and not its last piece.

    :ivar number: counted from 1.
    :ivar start: path of the first entry, relative to the source (``b"."`` is the source itself).
    :ivar start_block: number of the first entry's block (64 KiB each in what stock writes), counted from 1.
    :ivar end: path of the last entry.
    :ivar end_block: number of the last entry's block.
    :ivar hashes: of the volume's file as it is stored: lower-case hexadecimal digits by algorithm. Stock writes
        ``SHA1``.
    """

    number: int
    start: bytes
    start_block: int | None
    end: bytes
    end_block: int | None
    hashes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def may_hold(self, path: bytes) -> bool:
        """Whether the volume may hold an entry for ``path`` or for anything below it."""
        prefix = components(path)
        return components(self.start)[: len(prefix)] <= prefix <= components(self.end)


def components(path: bytes) -> tuple[bytes, ...]:
    """Split a path relative to the source; the tuples compare in Duplicity's order of entries.

    That is not the order of the paths as strings: ``a/b`` comes before ``a-b``. The source itself is ``()``.
    """
    return tuple(part for part in path.split(b"/") if part not in (b"", b"."))
