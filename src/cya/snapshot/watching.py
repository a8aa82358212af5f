"""Looks after snapshots while they are read: one that becomes full must not be read to its end as if it were whole."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType

from cya.errors import CyaError, SnapshotError

EVERY = 5.0
"""Seconds between two looks."""


class Watching:
    """Looks now and then, as long as the block lasts, in a thread."""

    def __init__(self, check: Callable[[], None], every: float = EVERY) -> None:
        """Take note; nothing is looked at yet.

        :param check: raises SnapshotError when something is wrong.
        """
        self._check, self._every = check, every
        self._over = Event()
        self._wrong: CyaError | None = None
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def raise_if_wrong(self) -> None:
        """Raise what the last look has found.

        :raises SnapshotError: when something is wrong.
        """
        if self._wrong is not None:
            raise self._wrong

    def _look(self) -> None:
        while not self._over.wait(self._every):
            try:
                self._check()
            except SnapshotError as error:
                self._wrong = error
                return
