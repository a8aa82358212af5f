"""Opens files one after another: neighbours by their names in their directory, whose way is gone but once."""

from __future__ import annotations

import errno
import os

from cya.engine.native.beneath import FILE, WAY, open_beneath

_CLOSED = -1
_DOTS = (b"", b".", b"..")


class Opener:
    """Opens regular files below a directory, through no symbolic link."""

    def __init__(self, root: int) -> None:
        """Open nothing yet.

        :param root: descriptor of the directory.
        """
        self._root = root
        self._path = b""
        self._directory = _CLOSED

    def open(self, path: bytes) -> int:
        """Open a file; see :func:`cya.engine.native.beneath.open_beneath`."""
        above, slash, name = path.rpartition(b"/")
        if not slash or name in _DOTS:
            return open_beneath(self._root, path)
        if above != self._path or self._directory == _CLOSED:
            self.close()
            self._directory, self._path = open_beneath(self._root, above, WAY), above
        try:
            return os.open(name, FILE, dir_fd=self._directory)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EAGAIN):
                raise
        return open_beneath(self._directory, name)

    def close(self) -> None:
        """Close the directory: it is not held for longer than needed, since it may be moved."""
        if self._directory != _CLOSED:
            os.close(self._directory)
            self._directory = _CLOSED
