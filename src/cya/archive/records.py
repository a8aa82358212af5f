"""What the archive writes down in ``state/`` so that a run that is stopped anywhere can be gone on with."""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from cya.archive.root import Root
from cya.durable import write_file
from cya.errors import ArchiveError
from cya.tree import layout
from cya.tree.chain import Chain, Increment
from cya.tree.levels import Period
from cya.tree.placement import Serving


class ServedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A served file, known by its inode: whatever else comes back under its name is not taken.

    Not by its device: that number is another one after the next mount.
    """

    name: str
    ino: int


class Served(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``served.json``: what ``incoming/next`` was made from.

    :ivar time: when, in seconds since the epoch; 0 where that is not known.
    :ivar leaf, base: periods, as directories below ``backups/``.
    :ivar chain: start and end of each increment of the served chain.
    """

    time: int
    leaf: str
    base: str | None
    chain: tuple[tuple[int | None, int], ...]
    files: tuple[ServedFile, ...]

    @property
    def serving(self) -> Serving:
        """The same as the tree's rules know it."""
        return Serving(
            leaf=layout.period_of(self.leaf),
            base=layout.period_of(self.base) if self.base is not None else None,
            chain=Chain(tuple(Increment(start, end) for start, end in self.chain)) if self.chain else None,
        )

    @classmethod
    def of(cls, serving: Serving, time: int, files: tuple[ServedFile, ...]) -> Served:
        """Make the record of a serving."""
        return cls(
            time=time,
            leaf=layout.directory(serving.leaf),
            base=layout.directory(serving.base) if serving.base is not None else None,
            chain=tuple((i.start, i.end) for i in serving.chain.increments) if serving.chain else (),
            files=files,
        )


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names to be linked into one period, in this order, from the batch (``source`` None) or from another period."""

    period: str
    source: str | None
    names: tuple[str, ...]

    @property
    def destination(self) -> Period:
        """The period to link into."""
        return layout.period_of(self.period)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``plan.json``, and after the commit point ``committed.json``: all that is left to do for one batch."""

    start: int | None
    end: int
    links: tuple[Link, ...]

    @property
    def increment(self) -> Increment:
        """The increment that the plan commits."""
        return Increment(self.start, self.end)


class Deferral(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``deferred.json``: how many runs have waited for a process that has a file of the batch open."""

    runs: int


class Loan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chain that the client may read in ``outgoing/NAME`` for some time.

    :ivar chain: start and end of each increment.
    :ivar lent, expires: when it was lent, and until when, in seconds since the epoch.
    """

    name: str
    chain: tuple[tuple[int | None, int], ...]
    lent: int
    expires: int

    @property
    def end(self) -> int:
        """End time of the backup that is lent."""
        return self.chain[-1][1]


class Loans(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``loans.json``: all that is lent. Without a loan there is no such file."""

    loans: tuple[Loan, ...]


class Pruning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``pruning.json``: what a prune is about to do, until all of it is done.

    :ivar forget: start and end of the increments that will lie nowhere any more: their ledger entries go last.
    :ivar trimming: a directory whose ``files/`` is replaced by ``state/trimmed`` in two steps; None: no one's is.
    """

    forget: tuple[tuple[int | None, int], ...]
    trimming: str | None = None

    @property
    def increments(self) -> tuple[Increment, ...]:
        """The increments to forget."""
        return tuple(Increment(start, end) for start, end in self.forget)


class Overdue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``overdue.json``: that the archive host's commands have been told of a silence.

    :ivar since: the time of the backup that was the last one; see :class:`cya.archive.status.Late`.
    """

    since: int


_WAY_OUT = {
    layout.DEFERRED: "remove it and collect again",
    layout.SERVED: "remove it and collect again; what lies in incoming/next is put into quarantine then",
    layout.PLAN: "move it and state/batch away and collect again; that upload is lost then, the next one is whole",
    layout.LOANS: "collect, which takes back all that is lent, and lend again",
    layout.PRUNING: "remove it and collect again; ledger entries of what was pruned may stay",
    layout.OVERDUE: "remove it and collect again; what is overdue is told once more",
    layout.COMMITTED: "remove it and state/batch and collect again; the upload is in the tree",
}

Record = TypeVar("Record", Served, Plan, Deferral, Loans, Pruning, Overdue)


def save(root: Root, name: str, record: Served | Plan | Deferral | Loans | Pruning | Overdue) -> None:
    """Write a record whole or not at all, and make sure that it is on the disk."""
    write_file(name, msgspec.json.format(msgspec.json.encode(record)) + b"\n", dir_fd=root.state)


def load(root: Root, name: str, kind: type[Record]) -> Record:
    """Read a record that the state says is there.

    :raises ArchiveError: when it is missing or malformed.
    """
    record = find(root, name, kind)
    if record is None:
        raise ArchiveError(f"{root.path}/{layout.STATE}/{name}: is missing; collect again")
    return record


def find(root: Root, name: str, kind: type[Record]) -> Record | None:
    """Read a record; None when there is none.

    :raises ArchiveError: when it is malformed; only an administrator can have done that.
    """
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.state), "rb") as file:
            return msgspec.json.decode(file.read(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ArchiveError(f"{root.path}/{layout.STATE}/{name}: malformed: {error}; {_WAY_OUT[name]}") from error
