"""The change test: the walk over the source beside the index, both in the same order.

Stricter than Duplicity's own, which looks at type, permissions, owner and whole seconds of the modification time: where
they are known, size, inode and change time count, too. A file that only these tell from what it was is *doubted*: it is
read, and nothing is stored of it if it has its old signature.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple

from cya.engine.native.known import NO_SIZE, UNKNOWN, VIRTUAL, Known, same_for_duplicity
from cya.engine.native.scan import Found, Unread

_NANOSECONDS = 10**9


SizeFits = Callable[[Known, int], bool]
"""Whether a file of so many bytes can have the signature of a record, whose size is not known."""


class What(Enum):
    """What is to be done about a path."""

    SAME = auto()
    NEW = auto()
    CHANGED = auto()
    DOUBTED = auto()
    DELETED = auto()
    KEPT = auto()
    """It could not be looked at: what the chain holds of it stays."""
    UNREAD = auto()
    """Says that something could not be looked at, and why."""


class Change(NamedTuple):
    """A path, what it is now and what it was."""

    what: What
    found: Found | None
    known: Known | None
    unread: Unread | None = None


def changes(
    found: Iterable[Found | Unread],
    known: Iterator[Known],
    ends: Sequence[int],
    size_fits: SizeFits,
) -> Iterator[Change]:
    """Yield every path of the source and of the index, in order.

    :param ends: when the increments of the chain end, in seconds since the epoch. Where no change time is known, a file
        whose inode has changed since the increment that holds it is doubted.
    """
    old = next(known, None)
    kept: bytes | None = None
    for item in found:
        while old is not None and old.key < item.key:
            yield _gone(old, kept)
            old = next(known, None)
        if isinstance(item, Unread):
            yield Change(What.UNREAD, None, None, item)
            kept = item.key + b"\0" if item.key else b""
            if not item.below and old is not None and old.key == item.key:
                yield Change(What.KEPT, None, old)
                old = next(known, None)
        elif old is not None and old.key == item.key:
            yield Change(_compared(item, old, ends, size_fits), item, old)
            old = next(known, None)
        else:
            yield Change(What.NEW, item, None)
    while old is not None:
        yield _gone(old, kept)
        old = next(known, None)


def _gone(old: Known, kept: bytes | None) -> Change:
    return Change(What.KEPT if kept is not None and old.key.startswith(kept) else What.DELETED, None, old)


def _compared(item: Found, old: Known, ends: Sequence[int], size_fits: SizeFits) -> What:
    status = item.stat
    if not stat.S_ISREG(old.mode):
        return What.SAME if same_for_duplicity(status, item.link, old) else What.CHANGED
    if (
        status.st_ctime_ns == old.ctime
        and status.st_size == old.size
        and status.st_ino == old.inode
        and status.st_mode == old.mode
        and status.st_uid == old.uid
        and status.st_gid == old.gid
    ):
        return What.SAME
    if status.st_ctime_ns == VIRTUAL:
        return What.DOUBTED if same_for_duplicity(status, item.link, old) else What.CHANGED
    if not same_for_duplicity(status, item.link, old) or (old.size != NO_SIZE and status.st_size != old.size):
        return What.CHANGED
    if old.ctime != UNKNOWN or status.st_ctime_ns >= ends[old.increment] * _NANOSECONDS:
        return What.DOUBTED
    return What.SAME if old.size != NO_SIZE or size_fits(old, status.st_size) else What.CHANGED
