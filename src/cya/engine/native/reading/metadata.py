"""What ``.dupext`` says, for one restore: of what is wanted, in a file that all workers can read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cya.engine.native.reading import extras
from cya.engine.native.reading.extras import Item
from cya.engine.native.reading.names import Names, names_of
from cya.engine.native.reading.outcome import shortened
from cya.engine.native.reading.restored import Restored
from cya.engine.native.reading.side import Side, Socket
from cya.engine.native.reading.volume import Wanted
from cya.metadata.side_files import DIRECTORY, is_ours

FILE = "extras"
"""Its name in the working directory."""


@dataclass
class Metadata:
    """What is known.

    :ivar names: which names are restored, and how.
    :ivar without: keys that are not restored: ``.dupext`` itself, unless it is asked for.
    :ivar file: name of a file for :class:`.extras.Extras`; None where there is nothing.
    :ivar flagged: keys and inode flags, in order.
    :ivar ours: see :class:`.side.Side`.
    """

    names: Names
    without: list[bytes] = field(default_factory=list)
    file: str | None = None
    sockets: list[Socket] = field(default_factory=list)
    flagged: list[tuple[bytes, int]] = field(default_factory=list)
    ours: bool = True


def read(
    place: Path | None, asked: Sequence[bytes], without: Collection[str], work: Path, restored: Restored
) -> Metadata:
    """Read the files of ``.dupext``.

    :param place: where they are; None if the backup has none.
    :param asked: the keys that are asked for; none for everything.
    :param without: what is not wanted; see :mod:`.side`.
    :param restored: is told what of it cannot be read.
    """
    if place is None:
        return Metadata(Names(list(asked), {}, [], []))

    def lose(key: bytes, reason: str) -> None:
        restored.lost.setdefault(shortened(key), reason)

    side = Side(place, without, lose)
    found = Metadata(names_of(asked, side.link_sets(), ours=side.ours), ours=side.ours)
    if not any(map(is_ours, asked)):
        found.without.append(DIRECTORY)
    wanted = Wanted(found.names.wanted, found.without)
    extras.write(work / FILE, _noting(side.items(wanted), found))
    found.file = FILE
    found.sockets = list(side.sockets(Wanted(asked)))
    return found


def _noting(items: Iterator[tuple[bytes, Item]], found: Metadata) -> Iterator[tuple[bytes, Item]]:
    for key, item in items:
        if item.flags:
            found.flagged.append((found.names.instead.get(key, key), item.flags))
        yield key, item
