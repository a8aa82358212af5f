"""Changes put aside on the disk: nothing is stored before the walk is over, and not all of a system fits into memory.

The file: batches, each four bytes of length (little endian) and a list in Python's marshal format. Only the run that
has written it reads it.
"""

from __future__ import annotations

import marshal
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cya.engine.native.compare import Change, What
from cya.engine.native.known import Known, Status
from cya.engine.native.scan import Found, Unread
from cya.metadata.look import CAPABILITY

_BATCH = 1024
_LENGTH = 4
_WORDS = tuple(What)
_NUMBERS = {what: number for number, what in enumerate(_WORDS)}


class ChangeSpool:
    """Takes changes, then gives them back in the same order, once.

    :ivar bytes: in the regular files among them.
    """

    def __init__(self, path: Path) -> None:
        """Make the file.

        :param path: of a file that is not there.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file: BinaryIO = open(os.open(path, flags, 0o600), "w+b", buffering=1 << 18)  # noqa: SIM115
        self._waiting: list[tuple[Any, ...]] = []
        self.bytes = 0

    def add(self, change: Change) -> None:
        """Put a change aside. Of what else was found only comes back whether it has capabilities, or nothing at all."""
        what, found, known, unread = change
        seen = None
        if found is not None:
            key, there, link, extra, _, _, bare, _ = found
            capable = extra is not None and any(name == CAPABILITY for name, _ in extra.attributes)
            mode, size = there.st_mode, there.st_size
            if mode & 0o170000 == stat.S_IFREG:
                self.bytes += size
            seen = (
                *(key, link, mode, there.st_ino, there.st_dev, there.st_nlink, there.st_uid, there.st_gid, size),
                *(there.st_mtime, there.st_mtime_ns, there.st_ctime_ns, there.st_rdev, capable, bare),
            )
        # Marshal takes tuples, but not those with names.
        self._waiting.append((_NUMBERS[what], seen, known and tuple(known), unread and tuple(unread)))
        if len(self._waiting) == _BATCH:
            self._flush()

    def changes(self) -> Iterator[Change]:
        """Yield all changes."""
        self._flush()
        self._file.seek(0)
        while length := self._file.read(_LENGTH):
            for number, seen, known, unread in marshal.loads(self._file.read(int.from_bytes(length, "little"))):  # noqa: S302
                found = _found(*seen) if seen is not None else None
                yield Change(_WORDS[number], found, known and Known._make(known), unread and Unread._make(unread))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            data = marshal.dumps(self._waiting)
            self._file.write(len(data).to_bytes(_LENGTH, "little") + data)
            self._waiting.clear()


def _found(key: bytes, link: bytes, *rest: Any) -> Found:
    *status, capable, bare = rest
    return Found(key, Status._make(status), link, capable=capable, bare=bare)
