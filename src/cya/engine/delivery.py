"""Hands finished volumes over while duplicity goes on.

Duplicity copies a volume from its temporary directory to the target, under its final name from the first byte on, then
compares the sizes, and then takes up the next one. So a volume is whole when nobody has it open for writing (which a
lease tells; where a file system has none, the next file does), and it is needed until the next file of the increment is
there. Sigtar and manifest, which come last, are left in the target: the archive will serve them.
"""

from __future__ import annotations

import os
from pathlib import Path

from cya.durable import has_writer
from cya.engine.duplicity_options import PREFIX
from cya.format import names
from cya.spool import Spool

_APART = os.fsencode(PREFIX)


class Delivery:
    """What of a run has been handed over.

    :ivar gone: size in bytes of each volume that was delivered and is not in the target any more, by its final name.
    """

    def __init__(self, target: Path, end: int, spool: Spool | None) -> None:
        """Take note of where things are.

        :param end: when the increment that is being made ends, which tells its files.
        """
        self._target, self._end, self._spool = target, end, spool
        self._delivered: set[bytes] = set()
        self.gone: dict[bytes, int] = {}

    def gate(self) -> bool:
        """Deliver what is finished; return whether duplicity may go on.

        :raises ArchiveError: when the files cannot be sent.
        """
        if self._spool is None:
            return True
        found = self._files()
        volumes = sorted((read.volume, name) for name, read in found.items() if read.volume is not None)
        for number, name in volumes:
            final, path = name.removeprefix(_APART), self._target / os.fsdecode(name)
            is_last = number == volumes[-1][0] and len(found) == len(volumes)
            if final not in self._delivered and not (is_last and _is_written(path)):
                self._spool.deliver(path, final)
                self._delivered.add(final)
            if final in self._delivered and not is_last:
                self.gone[final] = path.stat().st_size
                path.unlink()
        return self._spool.has_room()

    def _files(self) -> dict[bytes, names.FileName]:
        parsed = {name: names.parse(name.removeprefix(_APART)) for name in os.listdir(os.fsencode(self._target))}
        return {name: read for name, read in parsed.items() if read is not None and read.end == self._end}


def _is_written(path: Path) -> bool:
    """Whether somebody may still write to a file; yes, where the file system cannot tell."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return has_writer(fd)
    except OSError:
        return True
    finally:
        os.close(fd)
