"""Shared memory in which tasks go to a worker and packed units come back, without a copy in between.

::

    lengths of message, entries, signatures     3 x 8 bytes
    message: tasks, then outcomes (marshal)     up to MESSAGE bytes
    deflated entries, deflated signatures
"""

from __future__ import annotations

import marshal
import mmap
import struct
from typing import Any

from cya.engine.native.tasks import Outcome, Packed, Part

MESSAGE = 1 << 19
"""Bytes; the planner keeps tasks below this."""

_LENGTHS = struct.Struct("<QQQ")


class SlotFull(ValueError):
    """What was packed does not fit."""


class Slots:
    """All slots of a run, in one shared file without a name."""

    def __init__(self, file: int, count: int, size: int) -> None:
        """Map the file, which must be ``count`` times ``size`` bytes long."""
        self._size = size
        self._map = mmap.mmap(file, count * size)
        self._view = memoryview(self._map)

    def put_tasks(self, slot: int, tasks: list[tuple[Any, ...]]) -> None:
        """Write the tasks of a unit.

        :raises SlotFull: when there are too many.
        """
        self._put_message(slot, marshal.dumps(tasks), 0, 0)

    def take_tasks(self, slot: int) -> list[tuple[Any, ...]]:
        """Read the tasks of a unit."""
        tasks: list[tuple[Any, ...]] = self._message(slot)
        return tasks

    def put_packed(self, slot: int, packed: Packed) -> None:
        """Write what a unit became.

        :raises SlotFull: when it does not fit.
        """
        entries, signatures = packed.entries, packed.signatures
        message = marshal.dumps(
            (
                (entries.length, entries.crc, entries.digest),
                (signatures.length, signatures.crc),
                [tuple(outcome) for outcome in packed.outcomes],
                packed.damaged,
            )
        )
        start = slot * self._size + _LENGTHS.size + MESSAGE
        middle, end = start + len(entries.deflated), start + len(entries.deflated) + len(signatures.deflated)
        if end > (slot + 1) * self._size:
            raise SlotFull(f"{end - start} bytes do not fit into a slot of {self._size}")
        self._put_message(slot, message, len(entries.deflated), len(signatures.deflated))
        self._view[start:middle] = entries.deflated
        self._view[middle:end] = signatures.deflated

    def take_packed(self, slot: int) -> Packed:
        """Return what a unit became; the parts stay where they are, until the slot is used again."""
        base = slot * self._size
        _, first, second = _LENGTHS.unpack_from(self._view, base)
        entries, signatures, outcomes, damaged = self._message(slot)
        start = base + _LENGTHS.size + MESSAGE
        return Packed(
            Part(self._view[start : start + first], *entries),
            Part(self._view[start + first : start + first + second], *signatures),
            [Outcome(*outcome) for outcome in outcomes],
            damaged,
        )

    def _put_message(self, slot: int, message: bytes, entries: int, signatures: int) -> None:
        if len(message) > MESSAGE:
            raise SlotFull(f"a message of {len(message)} bytes")
        base = slot * self._size
        _LENGTHS.pack_into(self._view, base, len(message), entries, signatures)
        self._view[base + _LENGTHS.size : base + _LENGTHS.size + len(message)] = message

    def _message(self, slot: int) -> Any:
        base = slot * self._size
        (length, _, _) = _LENGTHS.unpack_from(self._view, base)
        # Nobody but the run's own processes can write here.
        return marshal.loads(self._view[base + _LENGTHS.size : base + _LENGTHS.size + length])  # noqa: S302
