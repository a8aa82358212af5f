"""Cuts what has to be read into units: some hundred small files, or a slice of a large one."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from functools import lru_cache

from cya.engine.native import account_names
from cya.engine.native.compare import Change, What
from cya.engine.native.known import Known, seconds
from cya.engine.native.scan import Found
from cya.engine.native.slots import MESSAGE
from cya.engine.native.tasks import Deleted, Other, Ref, Slice, Task, Whole
from cya.format import signature, tar_header

_LARGEST_UNIT = 5 << 18
_SMALLEST_UNIT = 1 << 17
_MOST_TASKS = 512
_PREFIX = len(b"multivol_snapshot/") + len(b"/18446744073709551615")
_MOST_OTHERS, _LONGEST_OTHER = 4, 1024
_TASK = 128
"""Bytes of a task as it travels, but for path and link."""
LONGEST_PATH = MESSAGE // 4
"""Bytes of a path that is not sent to a worker: it would not fit."""


def unit_capacity(volume_limit: int) -> int:
    """Return how large a unit's buffer is, in bytes: a volume must hold several."""
    return max(_SMALLEST_UNIT, min(_LARGEST_UNIT, volume_limit // 5))


@dataclass(slots=True)
class Large:
    """A large file on its way through the units.

    :ivar block: block length of its signature.
    :ivar slices: number of pieces planned.
    :ivar blocks: its signature so far.
    :ivar size: bytes of it that are in the backup.
    :ivar stored: bytes of it that are written.
    :ivar pending: commands of a delta that are not written yet, ``waiting`` bytes.
    :ivar number: of the piece that these will be.
    :ivar broken: it ended before its time: what comes after is not its.
    """

    change: Change
    found: Found
    block: int
    ref: Ref | None
    slices: int = 0
    blocks: list[bytes] = field(default_factory=list)
    size: int = 0
    stored: int = 0
    pending: list[bytes] = field(default_factory=list)
    waiting: int = 0
    number: int = 0
    broken: bool = False
    begun: bool = False

    def piece(self, number: int, offset: int, length: int, *, last: bool) -> Slice:
        """Return the task of one piece."""
        status = self.found.stat
        return Slice(
            *(slashed(self.found.key), status.st_mode, status.st_uid, status.st_gid, seconds(status), status.st_ino),
            *(number, last, offset, length, self.block, self.ref),
            others=_paths(self.found.guard or ()),
            capable=self.found.capable,
        )


def _paths(keys: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the paths of some other names of a file: one of them is there still, or none."""
    return tuple(slashed(key) for key in keys[:_MOST_OTHERS] if len(key) < _LONGEST_OTHER)


def slashed(key: bytes) -> bytes:
    """Return a key as a path."""
    return key.replace(b"\0", b"/")


def task_for(change: Change) -> Task:
    """Return the task of anything but a large file."""
    if change.found is None:
        return Deleted(slashed(change.known.key) if change.known else b"")
    key, status, link, _, guard, capable, *_ = change.found
    path = slashed(key)
    if not stat.S_ISREG(status.st_mode):
        device = status.st_rdev if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode) else 0
        return Other(path, status.st_mode, status.st_uid, status.st_gid, seconds(status), link, device)
    return Whole(
        *(path, status.st_mode, status.st_uid, status.st_gid, seconds(status), status.st_size),
        *(change.what is What.DOUBTED, ref_of(change.known)),
        inode=status.st_ino if guard is not None else 0,
        others=_paths(guard or ()),
        capable=capable,
    )


def ref_of(known: Known | None) -> Ref | None:
    """Return where the signature of a file is that is known; None where there is none."""
    if known is None or not known.length:
        return None
    return Ref(known.increment, known.member, known.inner, known.length)


def cost(change: Change) -> tuple[int, int]:
    """Return how many bytes a change takes in a unit's buffer, and in a message, at most."""
    if change.found is None:
        length = len(change.known.key) if change.known else 0
        return 2 * _header_bound(length, 0), length + _TASK
    key, status, link, _, guard, *_ = change.found
    header = _header_bound(len(key), len(link))
    message = len(key) + len(link) + _TASK + sum(map(len, _paths(guard or ())))
    if not stat.S_ISREG(status.st_mode):
        return 2 * header, message
    sums = 12 + 12 * (status.st_size // 512 + 1)
    return 2 * (header + 512) + status.st_size + sums, message


def slices(large: Large, capacity: int) -> list[Slice]:
    """Return the pieces of a large file."""
    status = large.found.stat
    step = slice_length(large.block, capacity, len(large.found.key))
    offsets = range(0, status.st_size, step)
    large.slices = len(offsets)
    return [
        large.piece(number, offset, min(step, status.st_size - offset), last=number == len(offsets))
        for number, offset in enumerate(offsets, 1)
    ]


def slice_length(block: int, capacity: int, path_length: int) -> int:
    """Return how many bytes a piece has: whole blocks."""
    room = capacity - _header_bound(path_length, 0) - 1024
    return max(1, (room - room // 16) // block) * block


def block_for(size: int, old: int | None, capacity: int) -> int:
    """Return the block length for a large file's signature.

    That of the old one if it is not far off: then slices begin where its blocks begin, and nothing is sent again at
    their borders. Never more than what fits into a slice.
    """
    ideal = signature.block_length(size)
    if old is not None and ideal <= 2 * old and old <= 2 * ideal:
        ideal = old
    most = (capacity - (64 << 10)) * 7 // 8
    return max(512, min(ideal, most // 512 * 512))


@lru_cache(4096)
def _header_bound(path: int, link: int) -> int:
    return tar_header.size_bound(path + _PREFIX, link, 2 * account_names.LONGEST)
