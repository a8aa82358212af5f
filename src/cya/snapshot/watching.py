"""Looks after snapshots while they are read: one that becomes full must not be read to its end as if it were whole."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread, main_thread

from cya.errors import CyaError

EVERY = 5.0
"""Seconds between two looks."""


@contextmanager
def watched(check: Callable[[], None], every: float = EVERY) -> Iterator[None]:
    """Look now and then, in a thread, as long as the block lasts, and at its end.

    What is found ends the block as Ctrl-C would, whatever it is waiting for, and is raised in place of that.

    :param check: raises SnapshotError when something is wrong.
    :raises SnapshotError: what it has raised.
    """
    over, wrong, held = Event(), [], Lock()

    def look() -> None:
        while not over.wait(every):
            try:
                check()
            except CyaError as error:
                with held:
                    if not over.is_set():
                        wrong.append(error)
                        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
                return

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        try:
            yield
        finally:
            with held:
                over.set()
            thread.join()
    except KeyboardInterrupt:
        if wrong:
            raise wrong[0] from None
        raise
    except CyaError:
        check()  # what cannot be read any more may be why
        raise
    check()
