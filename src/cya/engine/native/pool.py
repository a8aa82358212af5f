"""Worker processes. They take units from one pipe as they become free, and say on another which are done."""

from __future__ import annotations

import os
import select
import subprocess
from contextlib import suppress
from pathlib import Path

from cya.engine.native.child import started
from cya.engine.native.slots import MESSAGE, Slots
from cya.engine.native.tasks import Packed, Task
from cya.engine.native.worker import FAILED, Setting, to_plain
from cya.errors import EngineError

_SLOTS_PER_WORKER = 8
"""One is packed, and the others wait to be, or to be written: with 4 it is 3 % slower, with 16 no faster."""
_MOST_SLOTS = FAILED
_PATIENCE = 0.5
"""Seconds without an answer after which a look is taken at whether all workers live."""

_ENDED = "a process that reads files ended before its time; see above for what it said, if anything. Run again"


class Pool:
    """Packs units in processes, which are started when they are needed: an increment without changes needs none."""

    def __init__(self, root: int, sigtars: tuple[Path, ...], capacity: int, workers: int) -> None:
        """Start nothing yet.

        :param root: descriptor of the source.
        :param capacity: of a unit in bytes.
        """
        self._root, self._sigtars, self._capacity, self._workers = root, sigtars, capacity, workers
        self._processes: list[subprocess.Popen[bytes]] = []
        self._descriptors: list[int] = []
        self._slots: Slots | None = None
        self._free = list(range(min(_MOST_SLOTS, workers * _SLOTS_PER_WORKER)))
        self._done: set[int] = set()
        self._ask = self._answer = -1

    @property
    def has_room(self) -> bool:
        """Whether another unit can be submitted."""
        return bool(self._free)

    def begin(self) -> None:
        """Start the workers, if they are not yet: it takes them a while."""
        if self._slots is None:
            self._slots = self._started()

    def submit(self, tasks: list[Task]) -> int:
        """Have a unit packed; return the number by which to ask for it. There must be room.

        :raises SlotFull: when the tasks are too many, or their paths too long.
        :raises EngineError: when no worker can be started.
        """
        self.begin()
        assert self._slots is not None  # noqa: S101 they are started
        self._slots.put_tasks(self._free[-1], [to_plain(task) for task in tasks])
        slot = self._free.pop()
        try:
            os.write(self._ask, bytes([slot]))
        except BrokenPipeError:  # all of them are gone
            raise EngineError(_ENDED) from None
        return slot

    def is_done(self, slot: int) -> bool:
        """Whether a unit is packed; does not wait."""
        self._take_answers(0)
        return slot in self._done

    def packed(self, slot: int) -> Packed:
        """Wait for a unit; its parts are good until :meth:`release`.

        :raises EngineError: when a worker came to an end.
        """
        while slot not in self._done:
            self._take_answers(_PATIENCE)
        assert self._slots is not None  # noqa: S101 there is a unit
        return self._slots.take_packed(slot)

    def release(self, slot: int) -> None:
        """Give a unit's memory back."""
        self._done.discard(slot)
        self._free.append(slot)

    def processes(self) -> list[int]:
        """Return the process ids of the workers."""
        return [process.pid for process in self._processes]

    def close(self) -> None:
        """End all workers."""
        for descriptor in self._descriptors:
            with suppress(OSError):
                os.close(descriptor)
        self._descriptors.clear()
        for process in self._processes:
            process.kill()  # it has nothing that would be lost
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def _started(self) -> Slots:
        slot_size = self._capacity + self._capacity // 16 + MESSAGE
        memory = os.memfd_create("cya-units", os.MFD_CLOEXEC)
        os.ftruncate(memory, len(self._free) * slot_size)
        take, self._ask = os.pipe2(os.O_CLOEXEC)
        self._answer, give = os.pipe2(os.O_CLOEXEC)
        self._descriptors += [memory, self._ask, self._answer]
        setting = Setting(
            *(self._root, memory, len(self._free), slot_size, self._capacity, take, give),
            tuple(map(os.fsencode, self._sigtars)),
        )
        try:
            for _ in range(self._workers):
                self._processes.append(started("cya.engine.native.worker", setting, (self._root, memory, take, give)))
        finally:
            os.close(take)
            os.close(give)
        return Slots(memory, len(self._free), slot_size)

    def _take_answers(self, patience: float) -> None:
        waiting = select.poll()
        waiting.register(self._answer, select.POLLIN)
        if waiting.poll(patience * 1000):
            answers = os.read(self._answer, 4096)
            if not answers or any(answer & FAILED for answer in answers):
                raise EngineError(_ENDED)
            self._done.update(answers)
            return
        for process in self._processes:
            if patience and process.poll() is not None:
                raise EngineError(
                    f"a process that reads files ended before its time, with code {process.returncode}; "
                    "is there enough memory? Run again"
                )
