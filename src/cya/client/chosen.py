"""The paths of a backup that a person named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cya.errors import NotInBackup, UsageError
from cya.format.key import path_of
from cya.metadata.side_files import is_ours
from cya.printable import printable


class Chosen:
    """Some paths, and all that lies below them; but ``.dupext``, which the source never had, only if it is named.

    :ivar keys: of the paths, sorted, as in :class:`cya.engine.native.known.Known`; none of them lies in another.
    """

    def __init__(self, paths: Sequence[str], origin: Path | None) -> None:
        """Read what was given; no paths mean everything.

        :param paths: absolute, or relative to the directory that was backed up.
        :param origin: that directory, where it is known.
        :raises UsageError: when a path leaves it.
        """
        keys: list[bytes] = []
        given = {_key(path, origin) for path in paths} or {b""}
        for key in sorted(given):
            if not any(_lies_in(key, other) for other in keys):
                keys.append(key)
        self.keys = tuple(keys)
        self._unseen = given
        self._ours = any(map(is_ours, self.keys))

    def above(self, key: bytes) -> bytes | None:
        """Return the key of the named path that this one is or lies in; None if it was not named."""
        if is_ours(key) and not self._ours:
            return None
        if self._unseen:
            self._unseen -= {given for given in self._unseen if _lies_in(key, given)}
        return next((top for top in self.keys if _lies_in(key, top)), None)

    def covers(self, key: bytes) -> bool:
        """Whether a path was named, or lies in one that was."""
        return self.above(key) is not None

    def check(self, where: str) -> None:
        """Look, at the end, whether everything that was named has been met.

        :raises NotInBackup: names what was not.
        """
        if self._unseen:
            missing = ", ".join(printable(os.fsdecode(path_of(key))) for key in sorted(self._unseen))
            raise NotInBackup(f"{missing}: not in {where}; `cya find` tells which backups have it")


def _lies_in(key: bytes, top: bytes) -> bool:
    return not top or key == top or key.startswith(top + b"\0")


def _key(path: str, origin: Path | None) -> bytes:
    given = Path(os.path.normpath(path))
    if given.is_absolute():
        for top in (origin, origin.resolve()) if origin is not None else ():
            if given.is_relative_to(top):
                given = given.relative_to(top)
                break
        else:
            given = given.relative_to(given.anchor)
    if ".." in given.parts:
        raise UsageError(f"{path}: is not below the source of the backup")
    return b"\0".join(os.fsencode(part) for part in given.parts)
