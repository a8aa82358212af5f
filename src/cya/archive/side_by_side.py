"""Work on many roots at once, in processes: most of a commit is waiting for the disk.

Not in threads: one that comes back from a short system call waits for the interpreter's lock, and with thousands of
such calls handing it over costs more than the calls.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 8
_WORTH_A_WORKER = 4
_MOST_AT_A_TIME = 16
_PR_SET_PDEATHSIG = 1


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], lost: Callable[[Item], Result]) -> list[Result]:
    """Return what ``work`` returns for each item, in their order.

    :param work: a function that can be pickled. It should not raise; an exception of one ends the whole.
    :param lost: says instead what became of an item whose process was killed, as for want of memory.
    """
    workers = min(WORKERS, len(items) // _WORTH_A_WORKER)
    if workers < 2:
        return [work(item) for item in items]
    step = max(1, min(_MOST_AT_A_TIME, len(items) // (4 * workers)))
    shares = [items[first : first + step] for first in range(0, len(items), step)]
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=fork, initializer=_end_with, initargs=(os.getpid(),)) as pool:
        futures: list[Future[list[Result]]] = [pool.submit(_each, work, share) for share in shares]
        return [
            result for future, share in zip(futures, shares, strict=True) for result in _outcome(future, share, lost)
        ]


def _each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [work(item) for item in items]


def _outcome(future: Future[list[Result]], share: Sequence[Item], lost: Callable[[Item], Result]) -> list[Result]:
    try:
        return future.result()
    except BrokenExecutor:
        return [lost(item) for item in share]


def _end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, killed or not: nobody would give it work any more."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
