"""How long and how often something is tried again that fails for a reason that may pass."""

from __future__ import annotations

import random
import threading
import time

_FIRST = 1.0
_LONGEST = 60.0
"""Seconds between two tries. They double, and a part of each is left to chance: after an outage a hundred clients would
otherwise come back in the same moment, again and again."""


class Patience:
    """Counts from the first of several failures in a row: a transfer that takes an hour has not failed for an hour.

    :ivar limit: seconds.
    """

    def __init__(self, limit: float, stop: threading.Event) -> None:
        self.limit = limit
        self._stop = stop
        self._since: float | None = None
        self._tries = 0

    @property
    def tries(self) -> int:
        """Failures in a row."""
        return self._tries

    def wait(self) -> bool:
        """After a failure, wait before the next try; return False, at once, when there should be none."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        left = self._since + self.limit - now
        if left <= 0 or self._stop.is_set():
            return False
        delay = min(_LONGEST, _FIRST * 2.0 ** min(self._tries, 10)) * random.uniform(0.5, 1)  # noqa: S311
        self._tries += 1
        return not self._stop.wait(min(delay, left))

    def reset(self) -> None:
        """Something has worked."""
        self._since, self._tries = None, 0
