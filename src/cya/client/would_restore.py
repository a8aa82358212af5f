"""What a restore would do, told from the sigtars and from what is at the destination; nothing is written."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from cya.client.chosen import Chosen
from cya.client.linked import with_links
from cya.client.signatures import Source, Way
from cya.engine.native.reading.beside import Beside, Pair
from cya.engine.native.reading.differing import Differing
from cya.engine.native.reading.recorded import Recorded
from cya.engine.protocol import Existing
from cya.errors import CyaError

Fate = Literal["new", "same", "kept", "replaced", "in the way"]


class Would(NamedTuple):
    """What would become of one path.

    :ivar fate: ``new``: nothing is there; ``same``: what is there looks like it already; ``kept``: something else is
        there, and stays; ``replaced``: it does not; ``in the way``: it does, since nothing may replace it.
    :ivar differing: in what that differs, as :class:`cya.engine.native.reading.differing.Differing` tells.
    """

    record: Recorded
    fate: Fate
    differing: tuple[str, ...] = ()
    reason: str = ""


class WouldRestore:
    """Looks, and counts.

    :ivar counted: paths by fate.
    """

    def __init__(self, source: Source, found: Way, destination: Path, chosen: Chosen, existing: Existing) -> None:
        self._source, self._found, self._destination = source, found, destination
        self._chosen, self._existing = chosen, existing
        self._differing = Differing(by_name=True, owners=os.geteuid() == 0)
        self.counted: Counter[Fate] = Counter()

    def paths(self) -> Iterator[Would]:
        """Yield what would become of each path, in order.

        :raises IntegrityError: when a sigtar is damaged, which may be known only at the end.
        :raises DecryptionFailed: on a wrong passphrase or a missing secret key.
        """
        records = (each for each in with_links(self._source, self._found) if self._chosen.covers(each.key))
        if not self._destination.exists():
            for record in records:
                yield self._counted(Would(record, "new"))
            return
        try:
            root = os.open(self._destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise CyaError(f"{self._destination}: cannot be read: {error.strerror}") from error
        try:
            for pair in Beside(root, (each for each in records if each.key), ()).pairs():
                if pair.record is not None:
                    yield self._counted(self._would(pair, pair.record))
        finally:
            os.close(root)

    def _would(self, pair: Pair, record: Recorded) -> Would:
        if pair.unread is not None:
            return Would(record, "in the way", reason=pair.unread.reason)
        if pair.found is None:
            return Would(record, "new")
        differing = self._differing(record, pair.found)
        directory = stat.S_ISDIR(pair.found.stat.st_mode)
        if directory and stat.S_ISDIR(record.mode):
            # It stays in any case; with --overwrite it gets its attributes back.
            return Would(record, "replaced" if differing and self._replaces else "same", differing)
        if not differing:
            later = pair.found.stat.st_ctime_ns >= self._found.end * 1_000_000_000
            if self._existing == "replace" and later:
                return Would(record, "replaced", reason="was changed since")
            return Would(record, "same")
        if not self._replaces:
            return Would(record, "kept", differing)
        if directory:
            return Would(record, "in the way", differing, "a directory is there; it is removed only if it is empty")
        return Would(record, "replaced", differing)

    @property
    def _replaces(self) -> bool:
        return self._existing in ("replace", "resume")

    def _counted(self, would: Would) -> Would:
        self.counted[would.fate] += 1
        return would
