"""What several sigtars say of each path: all of a chain, or of two chains together.

They are read side by side, each as a stream. Of very many only a few are open at once: what they say goes through files
then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path

from cya.engine.native.reading.opening import Opener
from cya.engine.native.reading.recorded import Recorded, packed, records, unpacked
from cya.engine.native.reading.sorting import Sorter
from cya.engine.native.sigtar_entries import by_key
from cya.errors import CyaError

MOST_OPEN = 32
"""Sigtars that are read side by side: each takes some 2 MB, and with public keys a gpg process."""

History = Sequence[Recorded]
"""All that is said of one path, the newest first: by the numbers of the sigtars, from the last down."""


def histories(sigtars: Sequence[Path], opener: Opener, work: Path) -> Iterator[History]:
    """Yield what some sigtars say, by path in the order of keys.

    :param sigtars: oldest first; a record's number is its sigtar's place among these.
    :param work: an empty directory of this run's own.
    :raises IntegrityError: when one is damaged, which may be known only at the end.
    :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
    """
    if len(sigtars) > MOST_OPEN:
        sorter = Sorter(work)
        for number, path in enumerate(sigtars):
            for record in records(number, path, opener):
                sorter.add(record.key, packed(record))
        yield from told_by(sorter)
        return
    streams = [records(number, path, opener) for number, path in enumerate(sigtars)]
    try:
        for _, said in groupby(by_key(streams), key=itemgetter(0)):
            yield [record for _, _, record in said]
    finally:
        for stream in streams:
            with suppress(CyaError):  # a gpg that is stopped in the middle complains
                stream.close()


def told_by(sorter: Sorter) -> Iterator[History]:
    """Yield what went into a sorter, sigtar by sigtar."""
    for _, said in groupby(sorter.sorted(), key=itemgetter(0)):
        yield sorted((unpacked(value) for _, value in said), key=attrgetter("number"), reverse=True)


def in_force(
    sigtars: Sequence[Path], opener: Opener, work: Path, wanted: Callable[[bytes], bool] | None = None
) -> Iterator[Recorded]:
    """Yield what is in the backup that the last of a chain's sigtars belongs to, in the order of keys.

    :param wanted: says of a key whether to yield it.
    :raises IntegrityError, DecryptionFailed: as :func:`histories`.
    """
    for history in histories(sigtars, opener, work):
        if history[0].mode and (wanted is None or wanted(history[0].key)):
            yield history[0]
