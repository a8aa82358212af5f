"""Sends finished files in a thread of its own, while the engine makes the next ones.

What is delivered is linked into the spool, so that engine and uploader each have a name of the file to remove when they
are done with it. When two files wait there the engine has to wait, too: the disk holds no more than these, the volume
that the engine works on, and its copy.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from cya.errors import ArchiveError
from cya.transport.marker import File

ROOM = 2
"""Files in the spool, the one on its way included, that make the engine wait."""


class Uploader:
    """A queue of files, sent one after the other.

    :ivar sent: by name, what has arrived.
    """

    def __init__(self, spool: Path, send: Callable[[File], None], stop: threading.Event) -> None:
        """Take note of where things are.

        :param send: sends a file of the spool, however often it takes; raises what cannot be mended.
        :param stop: makes ``send`` end early; set by :meth:`close`.
        """
        self._spool, self._send, self._stop = spool, send, stop
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._delivered: set[bytes] = set()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._spare: list[Path] = []
        self._reused = False  # an engine that never asks leaves none
        self.sent: dict[bytes, File] = {}

    @property
    def delivered(self) -> frozenset[bytes]:
        """All names that were delivered, sent or not."""
        return frozenset(self._delivered)

    @property
    def under_way(self) -> frozenset[bytes]:
        """Names that were delivered and have not arrived."""
        with self._changed:
            return frozenset(self._queue)

    def deliver(self, file: Path, name: bytes) -> None:
        """Take a whole file, to which nobody writes any more, under its final name; do not wait.

        :raises ArchiveError: when it cannot be linked.
        """
        try:
            os.link(file, self._spool / os.fsdecode(name))
        except OSError as error:
            raise ArchiveError(f"{self._spool}: {file.name} cannot be linked into it: {error.strerror}") from error
        with self._changed:
            self._delivered.add(name)
            self._queue.append(name)
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="cya-upload", daemon=True)
            self._thread.start()

    def reuse(self, place: Path) -> bool:
        """Put a file that was sent at a place; see :meth:`cya.spool.Spool.reuse`.

        :raises ArchiveError: when it cannot be put there.
        """
        with self._changed:
            self._reused = True
            spare = self._spare.pop() if self._spare else None
        if spare is None:
            return False
        try:
            os.rename(spare, place)
        except OSError as error:
            raise ArchiveError(f"{place}: cannot be made: {error.strerror}") from error
        return True

    def has_room(self, patience: float = 0) -> bool:
        """Tell whether another file may be made now; wait up to ``patience`` seconds for that.

        :raises ArchiveError: when a file could not be sent, so that going on makes no sense.
        """
        with self._changed:
            room = self._changed.wait_for(lambda: self._error is not None or len(self._queue) < ROOM, patience)
            if self._error is not None:
                raise self._error
            return room

    def flush(self) -> None:
        """Wait until all is sent.

        :raises ArchiveError: when a file could not be sent.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or not self._queue)
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Send nothing more: what is on its way is broken off."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            while (name := self._next()) is not None:
                file = self._described(name)
                self._send(file)
                with self._changed:
                    self.sent[name] = file
                    self._queue.popleft()
                    self._give_up(self._spool / file.name)
                    self._changed.notify_all()
        except BaseException as error:  # whatever it is, the main thread has to know
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _give_up(self, path: Path) -> None:
        """Keep a file that was sent for another, unless it has another name still: sigtar and manifest stay."""
        if self._reused and os.stat(path).st_nlink == 1:
            self._spare.append(path)
        else:
            os.unlink(path)

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stop.is_set())
            return None if self._stop.is_set() else self._queue[0]

    def _described(self, name: bytes) -> File:
        path = self._spool / name.decode()
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                return File(name.decode(), os.fstat(file.fileno()).st_size, digest)
        except OSError as error:
            raise ArchiveError(f"{path}: cannot be read: {error.strerror}") from error
