"""Makes an increment: what has changed goes to the workers in units, and what they make into files, in order."""

from __future__ import annotations

import io
import stat
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO

from cya.engine.native.beneath import open_beneath
from cya.engine.native.compare import Change, What
from cya.engine.native.large import LargeFiles
from cya.engine.native.output import Output
from cya.engine.native.packer import Packer
from cya.engine.native.plan import LONGEST_PATH, cost, slashed, slice_length, slices, task_for
from cya.engine.native.pool import Pool
from cya.engine.native.slots import MESSAGE
from cya.engine.native.tasks import Packed, Task, Whole
from cya.engine.protocol import VirtualEntry
from cya.format import tar_header

_PASSIVE = (What.SAME, What.KEPT, What.UNREAD)
_MOST_ITEMS = 4096
_UNKNOWN_SIZE = 1 << 28
"""Bytes that a stream is taken to have when nothing is known of it: this decides on the blocks of its signature."""
_LONGEST_NAME = tar_header.MAX_EXTENDED - (1 << 14)
"""Bytes of a path, and of what it links to, with which a tar header can still be made and read."""
_Item = tuple[Change, int | None]
_Settle = Callable[[Packed], None]


class Increment:
    """Plans units, and settles them in the order in which they were planned."""

    def __init__(
        self,
        root: int,
        pool: Pool,
        output: Output,
        large: LargeFiles,
        inline: Callable[[int], Packer],
        capacity: int,
        virtual: Mapping[bytes, VirtualEntry],
        tick: Callable[[], None],
    ) -> None:
        """Take note of the parts.

        :param root: descriptor of the source.
        :param inline: makes a packer, of a capacity in bytes, for what is not sent to workers.
        :param capacity: of a unit in bytes.
        :param tick: is called after each unit.
        """
        self._root, self._pool, self._output, self._large, self._inline = root, pool, output, large, inline
        self._capacity, self._virtual, self._tick = capacity, virtual, tick
        # What waits to be settled, in order: the slot of a unit, or None for what needs no worker.
        self._queue: deque[tuple[int | None, _Settle | Callable[[], None]]] = deque()
        self._items: list[_Item] = []
        self._tasks: list[Task] = []
        self._bytes = self._message = 0

    def make(self, changes: Iterable[Change]) -> None:
        """Work through all changes."""
        for change in changes:
            if change.what in _PASSIVE:
                if self._items or self._queue:
                    self._items.append((change, None))
                    if len(self._items) >= _MOST_ITEMS:
                        self._flush()
                else:
                    self._output.plain(change)
            else:
                self._plan(change)
        self._flush()
        while self._queue:
            self._settle_one()

    def _plan(self, change: Change) -> None:
        found = change.found
        size, message = cost(change)
        if message > _LONGEST_NAME:
            self._later(partial(self._output.not_stored, change, "its path is too long for a tar archive"))
            return
        content = found.stat.st_size if found is not None and stat.S_ISREG(found.stat.st_mode) else -1
        if content >= 0 and found is not None and found.key in self._virtual:
            self._later(partial(self._pack_virtual, change))
            return
        # What is large by its path alone has no slices.
        if message > LONGEST_PATH or (size > self._capacity and content <= self._capacity // 2):
            self._later(partial(self._pack_here, change, size))
            return
        if size > self._capacity:
            self._plan_large(change)
            return
        if self._bytes + size > self._capacity or self._message + message > MESSAGE // 2:
            self._flush()
        self._items.append((change, len(self._tasks)))
        self._tasks.append(task_for(change))
        self._bytes += size
        self._message += message

    def _plan_large(self, change: Change) -> None:
        self._flush()
        if change.found is None:
            return
        large = self._large.begin(change, change.found, change.found.stat.st_size)
        for task in slices(large, self._capacity):
            self._wait_for_room()
            if large.broken:
                break
            slot = self._pool.submit([task])
            self._queue.append((slot, partial(self._large.settle, large, task)))
            self._settle_ready()
        self._queue.append((None, partial(self._large.finish, large)))

    def _flush(self) -> None:
        """Send what is planned away, and settle what is done."""
        if self._items:
            items, tasks = self._items, self._tasks
            self._items, self._tasks, self._bytes, self._message = [], [], 0, 0
            if tasks:
                self._wait_for_room()
                self._queue.append((self._pool.submit(tasks), partial(self._output.unit, items)))
            else:
                self._queue.append((None, partial(self._take_note, items)))
        self._settle_ready()

    def _later(self, work: Callable[[], None]) -> None:
        """Have something done in this process when its turn comes."""
        self._flush()
        self._queue.append((None, work))

    def _take_note(self, items: list[_Item]) -> None:
        for change, _ in items:
            self._output.plain(change)

    def _wait_for_room(self) -> None:
        while not self._pool.has_room:
            self._settle_one()

    def _settle_ready(self) -> None:
        while self._queue:
            slot = self._queue[0][0]
            if slot is not None and not self._pool.is_done(slot):
                return
            self._settle_one()

    def _settle_one(self) -> None:
        slot, settle = self._queue.popleft()
        if slot is None:
            settle()  # type: ignore[call-arg]
        else:
            settle(self._pool.packed(slot))  # type: ignore[call-arg]
            self._pool.release(slot)
        self._tick()

    def _pack_here(self, change: Change, size: int) -> None:
        """Pack a path that is too long to be sent to a worker, or leaves no room in a unit."""
        found = change.found
        if found is None or not stat.S_ISREG(found.stat.st_mode) or size <= self._capacity:
            self._output.unit([(change, 0)], self._inline(size).pack([task_for(change)]))
            return
        try:
            file = open_beneath(self._root, slashed(found.key))
        except OSError as error:
            self._output.not_stored(change, error.strerror or str(error))
            return
        with open(file, "rb", buffering=0) as stream:
            self._pack_stream(change, stream, found.stat.st_size)

    def _pack_virtual(self, change: Change) -> None:
        if change.found is None:
            return
        content = self._virtual[change.found.key].content
        try:
            if isinstance(content, bytes):
                self._pack_stream(change, io.BytesIO(content), len(content))
            elif isinstance(content, Path):
                with open(content, "rb") as file:
                    self._pack_stream(change, file, change.found.stat.st_size)
            elif content is not None:
                with content() as stream:
                    self._pack_stream(change, stream, _UNKNOWN_SIZE, is_guess=True)
        except OSError as error:
            self._output.not_stored(change, error.strerror or str(error))

    def _pack_stream(self, change: Change, stream: IO[bytes], size: int, *, is_guess: bool = False) -> None:
        """Pack what comes as a stream.

        :param size: in bytes.
        """
        found = change.found
        if found is None:
            return
        large = self._large.begin(change, found, size, is_guess=is_guess)
        step = slice_length(large.block, self._capacity, len(found.key))
        packer = self._inline(2 * self._capacity + 4 * len(found.key))
        data = _exactly(stream, step)
        if len(data) < step:
            task = task_for(change)
            if isinstance(task, Whole):
                self._output.unit([(change, 0)], packer.pack_content(task._replace(size=len(data)), data))
            return
        number = offset = 0
        while data:
            number += 1
            try:
                following, reason = _exactly(stream, step), ""
            except OSError as error:
                following, reason = b"", error.strerror or str(error)
            task = large.piece(number, offset, len(data), last=not following)
            self._large.settle(large, task, packer.pack_content(task, data))
            if reason:
                self._output.lose(found.key, f"{reason}; only its first {large.size} bytes are in the backup")
                large.broken = True
            offset += len(data)
            data = following
        large.slices = number
        self._large.finish(large)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    parts = []
    while size and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
