"""Which names of files are restored, where the archive has each of these files, and under which of its names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cya.engine.native.reading.volume import Wanted


class Names(NamedTuple):
    """What a restore of some paths needs.

    :ivar wanted: keys to be looked for in the archive; none for everything.
    :ivar instead: keys of files that are not wanted under the name that the archive has them under, but under another,
        and the keys of those.
    :ivar sets: names of files: the first is made of what the archive has, the others become links to it.
    :ivar links: keys that become links, and nothing else: the archive may have something under them all the same.
    """

    wanted: list[bytes]
    instead: dict[bytes, bytes]
    sets: list[list[bytes]]
    links: list[bytes]


def names_of(asked: Sequence[bytes], sets: Sequence[Sequence[bytes]], *, ours: bool) -> Names:
    """Return what is needed.

    :param asked: keys, none within another; none for everything.
    :param sets: see :meth:`cya.engine.native.reading.side.Side.link_sets`.
    :param ours: the archive has each file under its first name only; else under all of them.
    """
    chosen = list(_chosen(asked, sets))
    several = [names for _, names in chosen if len(names) > 1]
    if not ours:
        return Names(list(asked), {}, several, [])
    instead = {first: names[0] for first, names in chosen if names[0] != first}
    links = {name for first, names in chosen for name in names if name != first}
    wanted = sorted({key for key in asked if key not in links} | instead.keys())
    return Names(wanted, instead, several, sorted(links))


def _chosen(asked: Sequence[bytes], sets: Sequence[Sequence[bytes]]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield the first name of each file that is wanted, and its wanted names."""
    those = Wanted(asked)
    for names in sets:
        wanted = [name for name in names if those.holds(name)]
        if wanted:
            yield names[0], wanted
