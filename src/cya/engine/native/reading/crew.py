"""Worker processes: gives them tasks, and takes their answers. Few tasks are done without any."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import NamedTuple, Protocol

import msgspec

from cya import errors
from cya.engine.native.child import started
from cya.engine.native.reading import tasks
from cya.engine.native.reading.opening import Opener
from cya.engine.native.reading.perform import Performer
from cya.errors import CyaError, EngineError

_PATIENCE = 0.2
"""Seconds after which a look is taken at whether another task can begin."""

Ticker = Callable[[tasks.Tick], None]
Tasks = Iterable[tasks.AnyTask | None]
"""Tasks; None when there will be another one, but not yet."""
Answers = Iterator[tuple[tasks.AnyTask, tasks.Done | tasks.Damaged]]


class Crew(Protocol):
    """Does tasks."""

    def do(self, wanted: Tasks) -> Answers:
        """Do tasks side by side; yield each with what became of it.

        :raises EngineError: when nothing can be written any more, or a worker came to an end.
        """

    def close(self) -> None:
        """End all workers."""


class Alone:
    """Does all tasks in this process: for a few small ones that is faster."""

    def __init__(self, setting: tasks.Setting, tick: Ticker, opener: Opener | None = None) -> None:
        self._performer = Performer(setting, tick, opener)

    def do(self, wanted: Tasks) -> Answers:
        """Do tasks; see :class:`Crew`."""
        for task in wanted:
            if task is None:
                time.sleep(_PATIENCE)
            else:
                yield task, self._performer.perform(task)

    def close(self) -> None:
        """Close what is open."""
        self._performer.close()


class _Worker(NamedTuple):
    process: subprocess.Popen[bytes]
    channel: Connection


class Workers:
    """Processes of their own, started with the first task."""

    def __init__(self, setting: tasks.Setting, number: int, tick: Ticker) -> None:
        self._setting, self._number, self._tick = setting, number, tick
        self._workers: list[_Worker] = []
        self._decoder: msgspec.msgpack.Decoder[tasks.AnyAnswer] = msgspec.msgpack.Decoder(tasks.AnyAnswer)

    def do(self, wanted: Tasks) -> Answers:
        """Do tasks; see :class:`Crew`."""
        coming = iter(wanted)
        busy: dict[Connection, tasks.AnyTask] = {}
        ended = False
        while busy or not ended:
            for worker in self._all():
                if ended or worker.channel in busy:
                    continue
                task = next(coming, False)
                if task is False:
                    ended = True
                elif task is None:
                    break
                else:
                    self._send(worker, task)  # type: ignore[arg-type]
                    busy[worker.channel] = task  # type: ignore[assignment]
            for ready in wait(list(busy), _PATIENCE):
                answer = self._taken(ready)  # type: ignore[arg-type]
                if isinstance(answer, tasks.Tick):
                    self._tick(answer)
                elif isinstance(answer, tasks.Failed):
                    raise _error(answer)
                else:
                    yield busy.pop(ready), answer  # type: ignore[call-overload]

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.process.kill()
            worker.channel.close()
        for worker in self._workers:
            worker.process.wait()
        self._workers.clear()

    def _all(self) -> list[_Worker]:
        while len(self._workers) < self._number:
            self._workers.append(self._started())
        return self._workers

    def _started(self) -> _Worker:
        here, there = socket.socketpair()
        with there:
            number = len(self._workers)
            setting = msgspec.structs.replace(
                self._setting, channel=there.fileno(), own=f"{self._setting.own}-{number}"
            )
            descriptors = [there.fileno(), setting.target, setting.work]
            process = started("cya.engine.native.reading.worker", setting, descriptors)
        return _Worker(process, Connection(here.detach()))

    def _send(self, worker: _Worker, task: tasks.AnyTask) -> None:
        try:
            worker.channel.send_bytes(msgspec.msgpack.encode(task))
        except (BrokenPipeError, ConnectionResetError):
            raise _ended(worker.process) from None

    def _taken(self, channel: Connection) -> tasks.AnyAnswer:
        try:
            return self._decoder.decode(channel.recv_bytes())
        except (EOFError, ConnectionResetError):
            worker = next(each for each in self._workers if each.channel is channel)
            raise _ended(worker.process) from None


def _ended(process: subprocess.Popen[bytes]) -> EngineError:
    return EngineError(
        f"a process that restores files ended before its time, with code {process.wait()}; is there enough memory? "
        "Restore again"
    )


def _error(answer: tasks.Failed) -> CyaError:
    kind = getattr(errors, answer.kind, EngineError)
    error: CyaError = kind(answer.message)
    return error
