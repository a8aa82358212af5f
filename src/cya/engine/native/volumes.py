"""Writes the volumes of an increment, none larger than asked, and hands each over when it is finished."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cya.engine.native.indexing import Indexing
from cya.engine.native.sealing import END_OF_TAR, Sealed, Sealer
from cya.engine.native.tasks import Part
from cya.format import names
from cya.format.key import key_of
from cya.format.volume_info import VolumeInfo
from cya.spool import Spool

_PATIENCE = 0.5


class Place(NamedTuple):
    """An entry as a manifest names it: its path, and its number if it is a piece of a file, and not the last."""

    path: bytes
    piece: int | None


class Volumes:
    """The volumes of one increment."""

    def __init__(
        self,
        directory: Path,
        name: Callable[[int], bytes],
        sealer: Sealer,
        limit: int,
        spool: Spool | None,
        waiting: Callable[[], None],
    ) -> None:
        """Make nothing yet.

        :param name: of a volume by its number.
        :param limit: bytes of a volume.
        :param spool: takes finished volumes away; None: they stay.
        :param waiting: is called while there is no room for another volume.
        """
        self._directory, self._name, self._sealer, self._limit = directory, name, sealer, limit
        self._spool, self._waiting = spool, waiting
        self._open: Sealed | None = None
        self._index: Indexing
        self._first = self._last = Place(b".", None)
        self._syncing: list[threading.Thread] = []
        self._written = 0
        self.infos: list[VolumeInfo] = []

    @property
    def size(self) -> int:
        """Bytes of all volumes so far."""
        return self._written + (self._open.final_size if self._open else 0)

    def add(self, part: Part, first: Place, last: Place) -> None:
        """Add a part of the tar.

        :param first: its first entry.
        :param last: its last entry.
        """
        key = key_of(first.path)
        if self._open is not None:
            closing = _END + self._index.room(key)
            if self._open.final_size + len(part.deflated) + closing > self._limit:
                self._close()
        volume = self._open or self._begin(first)
        volume.write(part)
        self._index.add(key, part)
        self._last = last

    def finish(self) -> None:
        """Close the last volume. An increment without an entry has one, too, that is empty."""
        if self._open is None and not self.infos:
            self._begin(Place(b".", None))
        if self._open is not None:
            self._close()

    def wait(self) -> None:
        """Wait until volumes that are being brought to the disk are there, or could not be."""
        for thread in self._syncing:
            thread.join()

    def abandon(self) -> None:
        """Close what is open; the files stay."""
        if self._open is not None:
            self._open.abandon()
        self.wait()

    def _begin(self, first: Place) -> Sealed:
        path = self._path()
        over = self._spool is not None and self._spool.reuse(path)
        self._open = self._sealer(path, over=over)
        self._index = Indexing(self._open)
        self._first = self._last = first
        return self._open

    def _path(self) -> Path:
        return self._directory / os.fsdecode(self._name(len(self.infos) + 1))

    def _close(self) -> None:
        volume, self._open = self._open, None
        if volume is None:
            return
        try:
            volume.write(END_OF_TAR)
            index = self._index.write()
            digest = volume.close()
        except BaseException:
            volume.abandon()
            raise
        self._written += volume.path.stat().st_size
        (start, start_piece), (end, end_piece) = self._first, self._last
        self.infos.append(VolumeInfo(len(self.infos) + 1, start, start_piece, end, end_piece, {"SHA1": digest} | index))
        if self._spool is None:
            # To the disk while the next volumes are made; whether it got there is asked once more at the end.
            thread = threading.Thread(target=_sync, args=(volume.path,))
            thread.start()
            self._syncing.append(thread)
            return
        self._spool.deliver(volume.path, self._name(len(self.infos)))
        volume.path.unlink()
        while not self._spool.has_room(_PATIENCE):
            self._waiting()


_END = len(END_OF_TAR.deflated) + 64


def _sync(path: Path) -> None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(file)
    except OSError:
        pass
    finally:
        os.close(file)


def volume_name(start: int | None, end: int, suffix: bytes) -> Callable[[int], bytes]:
    """Return what names the volumes of an increment."""
    return lambda number: names.volume(start, end, number, suffix)
