"""A directory's file names, grouped into increments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cya.format.names import FileName, Kind, parse


@dataclass(frozen=True)
class FileSet:
    """The files of one increment, as far as their names tell.

    The names cannot tell that the *last* volume is missing: an increment of five volumes without its fifth looks like
    one of four. Only the manifest says how many there are (:func:`cya.format.manifest.parse`).

    :ivar start: seconds since the epoch; None for a full.
    :ivar end: seconds since the epoch.
    :ivar volumes: name by volume number, in the order of the numbers.
    :ivar other: statistics, and what an unfinished run left (``.part``); not needed for restoring. Sorted.
    :ivar conflicts: names that claim the same place, such as ``vol1.difftar.gz`` beside ``vol1.difftar.gpg``. Which of
        them is right cannot be told, so none of them takes the place: they are here and nowhere else. Sorted.
    """

    start: int | None
    end: int
    volumes: Mapping[int, bytes] = field(default_factory=dict, hash=False)
    sigtar: bytes | None = None
    manifest: bytes | None = None
    other: tuple[bytes, ...] = ()
    conflicts: tuple[bytes, ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether the increment is a full."""
        return self.start is None

    @property
    def metadata(self) -> tuple[bytes, ...]:
        """What is served: the sigtar and the manifest, as far as they are there."""
        return tuple(name for name in (self.sigtar, self.manifest) if name is not None)

    @property
    def names(self) -> tuple[bytes, ...]:
        """All names: volumes by number, sigtar, manifest, the rest."""
        return (*self.volumes.values(), *self.metadata, *self.other, *self.conflicts)

    @property
    def missing_volumes(self) -> tuple[range, ...]:
        """The gaps below the highest volume, in order; a volume in conflict is not missing.

        Ranges, since a stranger may name a file ``vol999999999``: never make a list of the numbers.
        """
        contested = {read.volume for read in map(parse, self.conflicts) if read is not None}
        present = sorted({*self.volumes, *(number for number in contested if number is not None)})
        before = [0, *present[:-1]]
        return tuple(range(a + 1, b) for a, b in zip(before, present, strict=False) if a + 1 < b)

    @property
    def is_complete(self) -> bool:
        """Sigtar, manifest and at least one volume are there, with no gap and no conflict.

        The last volumes may still be missing; see above.
        """
        return (
            self.sigtar is not None
            and self.manifest is not None
            and bool(self.volumes)
            and not self.missing_volumes
            and not self.conflicts
        )

    @property
    def is_metadata_only(self) -> bool:
        """Sigtar and manifest are there, no volume and no conflict: an increment as it is served."""
        return self.sigtar is not None and self.manifest is not None and not self.volumes and not self.conflicts


@dataclass(frozen=True)
class Collection:
    """What a directory holds.

    :ivar sets: by end time; of those that end together the full first, then by start.
    :ivar foreign: names that are not Duplicity's, sorted.
    """

    sets: tuple[FileSet, ...]
    foreign: tuple[bytes, ...]


def collect(names: Iterable[bytes]) -> Collection:
    """Group file names, in any order, into increments. A name that comes twice counts once."""
    increments: defaultdict[tuple[int | None, int], dict[bytes, FileName]] = defaultdict(dict)
    foreign = []
    for name in sorted(set(names)):
        read = parse(name)
        if read is None:
            foreign.append(name)
        else:
            increments[read.increment][name] = read
    sets = [_file_set(start, end, files) for (start, end), files in increments.items()]
    sets.sort(key=lambda each: (each.end, each.start is not None, each.start or 0))
    return Collection(tuple(sets), tuple(foreign))


def _file_set(start: int | None, end: int, files: Mapping[bytes, FileName]) -> FileSet:
    places: defaultdict[tuple[Kind, int], list[bytes]] = defaultdict(list)
    other = []
    for name, read in files.items():
        if read.partial or read.kind is Kind.STATISTICS:
            other.append(name)
        else:
            places[read.kind, read.volume or 0].append(name)
    held = {place: names[0] for place, names in places.items() if len(names) == 1}
    return FileSet(
        start=start,
        end=end,
        volumes={number: held[kind, number] for kind, number in sorted(held, key=_number) if kind is Kind.VOLUME},
        sigtar=held.get((Kind.SIGTAR, 0)),
        manifest=held.get((Kind.MANIFEST, 0)),
        other=tuple(other),
        conflicts=tuple(sorted(name for names in places.values() if len(names) > 1 for name in names)),
    )


def _number(place: tuple[Kind, int]) -> int:
    return place[1]
