"""Looks after snapshots while they are read: one that becomes full must not be read to its end as if it were whole."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread, main_thread

from cya.errors import CyaError

EVERY = 5.0
"""Seconds between two looks."""
_SIGNAL = signal.SIGUSR2


@contextmanager
def watched(check: Callable[[], None], every: float = EVERY) -> Iterator[None]:
    """Look now and then, in a thread, as long as the block lasts, and at its end.

    What is found ends the block as Ctrl-C would, whatever it is waiting for, and is raised in place of that. (By a
    signal of its own: a shell that runs something in the background has it ignore Ctrl-C.) To be used in the main
    thread.

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
                        signal.pthread_kill(main_thread().ident or 0, _SIGNAL)
                return

    thread = Thread(target=look, daemon=True)
    before = signal.signal(_SIGNAL, signal.default_int_handler)
    try:
        try:
            thread.start()
            yield
        finally:
            with held:
                over.set()
            thread.join()
            signal.signal(_SIGNAL, before)
    except KeyboardInterrupt:
        if wrong:
            raise wrong[0] from None
        raise
    except CyaError:
        check()  # what cannot be read any more may be why
        raise
    check()
