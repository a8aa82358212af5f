"""Find: which backups have which versions of a path, over all chains and branches of a tree.

A version is what a backup records of a path. A backup that says nothing of it has what the one has that it stands on,
so the same change may be told in several chains; where two backups after each other have the same, that is one version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from cya import clock
from cya.client.signatures import Source, judged
from cya.engine.native.reading.histories import History, told_by
from cya.engine.native.reading.recorded import Recorded, packed, records
from cya.engine.native.reading.sorting import Sorter
from cya.errors import DecryptionFailed, IntegrityError
from cya.metadata.side_files import is_ours

_MOST_KNOWN = 4096


class Version(NamedTuple):
    """What backups, one after another, have of a path.

    :ivar first, last: times of the first and the last of them, in seconds since the epoch.
    :ivar deleted: time of the backup after these if it has nothing at this path; None if it has another version, or if
        there is no later backup.
    """

    record: Recorded
    first: int
    last: int
    deleted: int | None


class _Span(NamedTuple):
    version: int
    first: int
    last: int
    deleted: int | None


class Search:
    """Looks through the sigtars of all backups, each once.

    :ivar trouble: what could not be looked at, and why; backups that stand on it count as if they were not there.
    """

    def __init__(self, source: Source, wanted: Callable[[bytes], bool]) -> None:
        """Read all sigtars.

        :param wanted: says of a path's key whether to look for it.
        :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
        """
        catalog = source.catalog
        self._every = list(catalog.merged)
        numbers = {increment.end: number for number, increment in enumerate(self._every)}
        self._stands_on = [-1 if each.start is None else numbers.get(each.start, -1) for each in self._every]
        self._usable: list[bool] = []
        self._sorter = Sorter(source.work)
        self.trouble: list[str] = []
        for number, increment in enumerate(self._every):
            name = catalog.merged[increment].sigtar
            readable = False
            if name is None:
                self.trouble.append(f"the backup of {clock.local(increment.end)}: its sigtar is missing, or two are")
            else:
                try:
                    for record in records(number, catalog.places(increment)[name], source.opener):
                        if wanted(record.key) and not is_ours(record.key):
                            self._sorter.add(record.key, packed(record))
                    readable = True
                except IntegrityError as error:
                    self.trouble.append(str(error))
                except DecryptionFailed as error:
                    found = judged(source, [increment], error)
                    if found is error:
                        raise
                    self.trouble.append(str(found))
            on = self._stands_on[number]
            if readable and not increment.is_full and not 0 <= on < number:
                self.trouble.append(f"the backup of {clock.local(increment.end)}: the one that it stands on is missing")
            self._usable.append(readable and (increment.is_full or (0 <= on < number and self._usable[on])))
        self._spans = lru_cache(_MOST_KNOWN)(self._told)

    def found(self) -> Iterator[list[Version]]:
        """Yield, for each path that was looked for and that any backup has, its versions, the oldest first."""
        for history in told_by(self._sorter):
            if versions := self._versions(history):
                yield versions

    def _versions(self, history: History) -> list[Version]:
        distinct: dict[Recorded, int] = {}
        said = []
        for record in reversed(history):
            if self._usable[record.number]:
                version = distinct.setdefault(record._replace(number=0), len(distinct) + 1) if record.mode else 0
                said.append((record.number, version))
        whats = list(distinct)
        ends = [increment.end for increment in self._every]
        return [
            Version(
                whats[span.version - 1],
                ends[span.first],
                ends[span.last],
                ends[span.deleted] if span.deleted is not None else None,
            )
            for span in self._spans(tuple(said))
        ]

    def _told(self, said: tuple[tuple[int, int], ...]) -> list[_Span]:
        """Return which versions there are when; most paths have a pattern in common with many others.

        :param said: numbers of backups, and the version that each names; 0 for none.
        """
        named = dict(said)
        has: list[int] = []
        spans: list[_Span] = []
        before, since, last = 0, 0, 0
        for number, usable in enumerate(self._usable):
            on = self._stands_on[number]
            version = named.get(number, has[on] if on >= 0 and usable else 0)
            has.append(version)
            if not usable:
                continue
            if version != before:
                if before:
                    spans.append(_Span(before, since, last, None if version else number))
                before, since = version, number
            last = number
        if before:
            spans.append(_Span(before, since, last, None))
        return spans
