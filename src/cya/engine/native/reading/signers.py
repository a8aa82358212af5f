"""Compares many files with signatures on all cores, in processes that are started when they are worth it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

from cya.engine.native.child import started
from cya.engine.native.reading.signer import Setting, receive, send
from cya.engine.native.reading.signing import Answer, Asked, Signer
from cya.errors import EngineError

MOST_ASKED = 256
MOST_BYTES = 1 << 23
MOST_ITEMS = 2048
"""Files, bytes in these, and paths of any kind after which a batch is full."""
_INLINE = 2
"""Batches that this process compares itself, if there are no more: starting others takes a third of a second."""
_AHEAD = 4
"""Batches for each process that may be under way."""

Item = TypeVar("Item")


class _Batch(NamedTuple, Generic[Item]):
    items: list[tuple[Item, int]]
    asked: list[Asked]


def answered(
    root: int, work: Iterable[tuple[Item, Asked | None]], workers: int | None = None
) -> Iterator[tuple[Item, Answer | None]]:
    """Yield everything that comes, in its order, with the answer to what is asked of it.

    :param root: descriptor of the source.
    :param workers: number of processes; None: one for each core.
    :raises EngineError: when a process cannot be started, or ends before its time.
    """
    batches = _batches(work)
    first = [batch for _, batch in zip(range(_INLINE), batches, strict=False)]
    signer = Signer(root)
    for batch in first:
        yield from _with(batch, [signer.answer(asked) for asked in batch.asked])
    if len(first) < _INLINE:
        return
    count = workers or len(os.sched_getaffinity(0))
    processes = _Processes(root)
    waiting: deque[tuple[_Batch[Item], Future[list[Answer]] | None]] = deque()
    threads = ThreadPoolExecutor(count)
    try:
        for batch in batches:
            waiting.append((batch, threads.submit(processes.answers, batch.asked) if batch.asked else None))
            while len(waiting) > count * _AHEAD:
                yield from _settled(*waiting.popleft())
        while waiting:
            yield from _settled(*waiting.popleft())
    finally:
        processes.stop()
        threads.shutdown(cancel_futures=True)
        processes.close()


class _Processes:
    """One process for each thread that asks."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._own = threading.local()
        self._running: list[tuple[subprocess.Popen[bytes], BinaryIO, BinaryIO]] = []
        self._stopped = False

    def answers(self, asked: Sequence[Asked]) -> list[Answer]:
        """Have files compared."""
        if self._stopped:
            return []
        if not hasattr(self._own, "pipes"):
            self._own.pipes = self._started()
        ask, answer = self._own.pipes
        found: list[Any] | None = None
        with suppress(BrokenPipeError):
            send(ask, [tuple(each) for each in asked])
            found = receive(answer)
        if found is None:
            raise EngineError("a process that reads files ended before its time; is there enough memory? Run again")
        return [Answer(*each) for each in found]

    def stop(self) -> None:
        """Let nobody wait any longer; the processes have nothing that would be lost."""
        self._stopped = True
        for process, _, _ in self._running:
            process.kill()

    def close(self) -> None:
        """Take leave of the processes, when no thread asks any more."""
        for process, ask, answer in self._running:
            with suppress(BrokenPipeError):
                ask.close()
            answer.close()
            process.wait()

    def _started(self) -> tuple[BinaryIO, BinaryIO]:
        asked, ask = os.pipe2(os.O_CLOEXEC)
        answer, answering = os.pipe2(os.O_CLOEXEC)
        pipes = open(ask, "wb"), open(answer, "rb")  # noqa: SIM115 closed with the thread that uses them
        try:
            setting = Setting(self._root, asked, answering)
            process = started("cya.engine.native.reading.signer", setting, (self._root, asked, answering))
        finally:
            os.close(asked)
            os.close(answering)
        self._running.append((process, *pipes))
        return pipes


def _settled(batch: _Batch[Item], future: Future[list[Answer]] | None) -> Iterator[tuple[Item, Answer | None]]:
    return _with(batch, future.result() if future is not None else [])


def _with(batch: _Batch[Item], answers: list[Answer]) -> Iterator[tuple[Item, Answer | None]]:
    for item, place in batch.items:
        yield item, answers[place] if place >= 0 else None


def _batches(work: Iterable[tuple[Item, Asked | None]]) -> Iterator[_Batch[Item]]:
    batch: _Batch[Item] = _Batch([], [])
    size = 0
    for item, asked in work:
        batch.items.append((item, len(batch.asked) if asked is not None else -1))
        if asked is not None:
            batch.asked.append(asked)
            size += asked.largest
        if len(batch.asked) >= MOST_ASKED or size >= MOST_BYTES or len(batch.items) >= MOST_ITEMS:
            yield batch
            batch, size = _Batch([], []), 0
    if batch.items:
        yield batch
