"""A worker process: packs units as it is told, until it is told no more.

Over two pipes go bytes that name slots; all
else is in shared memory, so that neither side ever waits for the other to read. When its parent is gone the pipe ends,
and so does the worker.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from cya.engine.native.old_signatures import OldSignatures
from cya.engine.native.packer import Packer
from cya.engine.native.slots import Slots
from cya.engine.native.tasks import Deleted, Other, Slice, Task, Whole
from cya.garbage import collect_seldom

FAILED = 0x80
"""Is added to a slot's number when the worker cannot go on; what is wrong it has said on its stderr."""
_KINDS: tuple[Any, ...] = (Deleted, Other, Whole, Slice)


class Setting(msgspec.Struct, frozen=True):
    """What a worker has to know; descriptors are inherited.

    :ivar root: descriptor of the source.
    :ivar memory: descriptor of the slots' memory.
    :ivar capacity: of a unit's buffer in bytes.
    :ivar ask, answer: descriptors of the two pipes.
    :ivar sigtars: the local sigtars of the chain.
    """

    root: int
    memory: int
    slots: int
    slot_size: int
    capacity: int
    ask: int
    answer: int
    sigtars: tuple[bytes, ...]


def to_plain(task: Task) -> tuple[Any, ...]:
    """Return a task as it travels: marshal takes plain tuples only."""
    return (_KINDS.index(type(task)), *[tuple(part) if isinstance(part, tuple) else part for part in task])


def from_plain(plain: tuple[Any, ...]) -> Task:
    """Return a task as it was."""
    task: Task = _KINDS[plain[0]](*plain[1:])
    return task


def main() -> int:
    """Run: ``python -m cya.engine.native.worker``, with a :class:`Setting` on its standard input."""
    collect_seldom()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    setting = msgspec.json.decode(sys.stdin.buffer.read(), type=Setting)
    slots = Slots(setting.memory, setting.slots, setting.slot_size)
    packer = Packer(
        setting.root, OldSignatures([Path(os.fsdecode(path)) for path in setting.sigtars]), setting.capacity
    )
    while slot := os.read(setting.ask, 1):
        try:
            tasks = [from_plain(plain) for plain in slots.take_tasks(slot[0])]
            slots.put_packed(slot[0], packer.pack(tasks))
        except BaseException:
            with suppress(BrokenPipeError):
                os.write(setting.answer, bytes([slot[0] | FAILED]))
            raise
        try:
            os.write(setting.answer, slot)
        except BrokenPipeError:  # whoever asked is gone
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
