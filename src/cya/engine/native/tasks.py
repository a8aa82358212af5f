"""What the planner asks of a packer, and what comes back.

Tasks are plain tuples of numbers and bytes, since they travel to other processes by marshal. Paths have slashes here.
"""

from __future__ import annotations

from typing import NamedTuple


class Ref(NamedTuple):
    """Where an old signature is: see :class:`cya.engine.native.known.Known`."""

    increment: int
    member: int
    inner: int
    length: int


class Deleted(NamedTuple):
    """A path that is no more."""

    path: bytes


class Other(NamedTuple):
    """Anything but a regular file: a tar header says all. ``device`` is that of a device file."""

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    link: bytes
    device: int


class Whole(NamedTuple):
    """A regular file that fits into one unit.

    :ivar size: in bytes; what has grown since is left to the next backup.
    :ivar doubted: Duplicity's test says that it is unchanged: nothing is stored if its signature says so, too.
    :ivar ref: of the signature that it had, if there is one.
    :ivar inode: its number, if no other file may be stored in its place; else 0.
    :ivar others: other names of it, under which it may be found.
    :ivar capable: it has capabilities.
    """

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    doubted: bool
    ref: tuple[int, int, int, int] | None
    inode: int = 0
    others: tuple[bytes, ...] = ()
    capable: bool = False


class Slice(NamedTuple):
    """A piece of a large regular file, which becomes an entry of its own.

    :ivar inode: its number; a slice of another file must not get in.
    :ivar number: of the piece, from 1.
    :ivar last: whether it is the last piece.
    :ivar offset: in bytes; a multiple of ``block``, but for the last piece's end.
    :ivar block: block length of the signature.
    :ivar ref: of the signature that the file had: then the piece is a part of a delta.
    :ivar others: other names of the file, under which it may be found.
    :ivar capable: it has capabilities.
    """

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    inode: int
    number: int
    last: bool
    offset: int
    length: int
    block: int
    ref: tuple[int, int, int, int] | None
    others: tuple[bytes, ...] = ()
    capable: bool = False


Task = Deleted | Other | Whole | Slice

STORED, DELTA, UNCHANGED, LOST = range(4)


class Outcome(NamedTuple):
    """What became of a task.

    :ivar what: STORED or DELTA: an entry was written; UNCHANGED or LOST: none.
    :ivar size: bytes that were read of the file.
    :ivar stored: bytes that the entry holds.
    :ivar inner: where the signature (of a whole file) stands in the unit's sigtar.
    :ivar signature: its length in bytes.
    :ivar blocks: of a slice: its part of the signature.
    :ivar commands: of a slice whose part of the delta is short: that part, which is not written yet.
    :ivar reason: why it is LOST, or not as it should be.
    :ivar owner: mode, uid and gid, when they were others than the task said.
    """

    what: int
    size: int = 0
    stored: int = 0
    inner: int = 0
    signature: int = 0
    blocks: bytes = b""
    commands: bytes = b""
    reason: str = ""
    owner: tuple[int, int, int] | None = None


class Part(NamedTuple):
    """A part of a tar, deflated: raw, ended by a full flush.

    :ivar length: before deflating.
    :ivar crc: CRC-32 before deflating.
    :ivar digest: SHA-256 of what is deflated; empty where nobody asks for it.
    """

    deflated: bytes | memoryview
    length: int
    crc: int
    digest: bytes = b""


class Packed(NamedTuple):
    """What a unit became.

    :ivar entries: of the difftar.
    :ivar signatures: of the sigtar.
    :ivar outcomes: one for each task.
    :ivar damaged: numbers of increments whose local sigtars are not whole.
    """

    entries: Part
    signatures: Part
    outcomes: list[Outcome]
    damaged: list[int]
