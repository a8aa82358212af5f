"""What the signatures tell of a volume that is missing or damaged: which files are lost with it, and all of the rest.

Directories, links and devices stand in the sigtar as they do in the volume, so they are restored from there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cya.engine.native.reading import runs
from cya.engine.native.reading.actions import Action, Actions
from cya.engine.native.reading.opening import FileDamaged, Read
from cya.engine.native.reading.outcome import Outcome
from cya.engine.native.reading.runs import RunWriter
from cya.engine.native.reading.scan_volume import Event
from cya.engine.native.reading.volume import Wanted
from cya.format.difftar import Entry, What, entry
from cya.format.tar_reader import Member, TarError, TarReader

_SIGNATURE, _SNAPSHOT = b"signature/", b"snapshot/"
_REGULAR = b"0"
_NONE: tuple[None, None] = (None, None)


class Between:
    """The keys that some volumes may hold."""

    def __init__(self, ranges: Sequence[tuple[bytes, bytes | None]], wanted: Wanted) -> None:
        """Take first and last key of each, both included; they ascend, and ``None`` is the end of all."""
        self._firsts = [first for first, _ in ranges]
        self._lasts = [last for _, last in ranges]
        self._wanted = wanted

    def holds(self, key: bytes) -> bool:
        """Whether a key lies there and is wanted."""
        found = bisect_right(self._firsts, key) - 1
        if found < 0:
            return False
        last = self._lasts[found]
        return (last is None or key <= last) and self._wanted.holds(key)


def entries(read: Read, between: Between) -> Iterator[tuple[Entry, Member]]:
    """Yield what a sigtar says of the paths of a volume, in order. Regular files stand for their signatures.

    :raises FileDamaged: when the sigtar is not what it should be.
    """
    last: bytes | None = None
    try:
        for member in TarReader(read):
            name = member.name
            is_file = name.startswith(_SIGNATURE)
            found = entry(_SNAPSHOT + name.removeprefix(_SIGNATURE) if is_file else name)
            if (member.kind == _REGULAR) != is_file and found.what is not What.DELETED:
                raise FileDamaged(f"{name!r} is not an entry of a sigtar")
            if last is not None and found.key <= last:
                raise FileDamaged(f"{found.key!r} comes after {last!r}")
            last = found.key
            if between.holds(found.key):
                yield found, member
    except TarError as error:
        raise FileDamaged(str(error)) from None
    while read(1 << 18):
        pass


def besides(found: Iterator[tuple[Entry, Member]], events: Sequence[Path]) -> Iterator[tuple[Entry, Member]]:
    """Leave out the paths of some runs."""
    there = runs.merged(events)
    key = next(there, _NONE)[0]
    for each, member in found:
        while key is not None and key < each.key:
            key = next(there, _NONE)[0]
        if key != each.key:
            yield each, member


def events(found: Iterator[tuple[Entry, Member]], work: Path, label: str) -> Outcome:
    """Write the run of events of an increment's volume that is not there."""
    writer = RunWriter(work / f"events-{label}")
    outcome = Outcome()
    for each, member in found:
        there = Event.LOST if member.kind == _REGULAR else Event.WHOLE
        writer.add(each.key, bytes([Event.DELETED if each.what is What.DELETED else there]))
    if (path := writer.close()) is not None:
        outcome.runs.append(path.name)
    return outcome


class WithoutFiles:
    """The entries of a sigtar, to be extracted like those of a volume; files that count are lost."""

    def __init__(
        self, found: Iterator[tuple[Entry, Member]], actions: Actions, lose: Callable[[bytes], object]
    ) -> None:
        self._found, self._actions, self._lose = found, actions, lose

    def __iter__(self) -> Iterator[tuple[Entry, Member]]:
        """Yield all but the regular files."""
        for each, member in self._found:
            if member.kind != _REGULAR:
                yield each, member
            elif each.what is What.SNAPSHOT and self._actions.of(each.key) is not Action.SKIP:
                self._lose(each.key)

    def data(self) -> Iterator[bytes]:
        """Yield nothing: there is none."""
        return iter(())
