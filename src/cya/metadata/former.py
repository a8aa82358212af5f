"""What stood in the ``.dupext`` of the last backup: it is still so of what could not be looked at since.

The files of the last backup stay in the engine's own directory, with the time of the backup that they belong to.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from cya.metadata import hard_links, records
from cya.metadata.quoting import unquoted
from cya.metadata.searching import pairs_of

_TIME = "time"
_FILE = b"# file: "


class Former:
    """The files of the last backup."""

    def __init__(self, place: Path | None = None, time: int | None = None) -> None:
        """Look whether they are there.

        :param place: the directory that they are in; None: there are none.
        :param time: of the last backup: those of another one do not count.
        """
        self._place = place if place is not None and _time(place) == time is not None else None

    def pairs(self, name: str, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the pairs of a path and of what lies below it."""
        path = self._file(name)
        if path is not None:
            with open(path, "rb") as file:
                yield from pairs_of(file, [key]) if key else records.pairs(file)

    def stanzas(self, name: str, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the key and the text of each stanza of a path and of what lies below it."""
        path = self._file(name)
        if path is None:
            return
        lines: list[bytes] = []
        with open(path, "rb") as file:
            for line in file:
                lines.append(line)
                if line == b"\n":
                    found = records.key_of_dotted(unquoted(lines[0].removeprefix(_FILE).rstrip(b"\n")))
                    if not key or found == key or found.startswith(key + b"\0"):
                        yield found, b"".join(lines)
                    lines = []

    def link_sets(self) -> Iterator[tuple[int, int, list[bytes]]]:
        """Yield inode, number of names, and the keys of the names of each file with several; the stored one first."""
        path = self._file("hardlinks.txtz")
        sets: dict[bytes, tuple[int, list[bytes]]] = {}
        if path is not None:
            with open(path, "rb") as file:
                for word, count, key in hard_links.parse(file):
                    sets.setdefault(word, (count, []))[1].append(key)
        return ((int(word.partition(b".")[0]), count, names) for word, (count, names) in sets.items())

    def _file(self, name: str) -> Path | None:
        path = self._place / name if self._place is not None else None
        return path if path is not None and path.exists() else None


def keep(made: Path, place: Path, time: int) -> None:
    """Have the files of a backup stay.

    :param made: the directory with them, on the same file system.
    :param time: of the backup, in seconds since the epoch.
    """
    (made / _TIME).write_text(str(time))
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)


def _time(place: Path) -> int | None:
    try:
        return int((place / _TIME).read_text())
    except (OSError, ValueError):
        return None
