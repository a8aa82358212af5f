"""What workers are told to do, and what they answer; it travels as msgpack.

Paths and the passphrase are bytes: they need not be text.
"""

from __future__ import annotations

import msgspec

from cya.engine.native.reading.assemble import Group
from cya.engine.native.reading.outcome import Ends
from cya.format.volume_index import Place


class Task(msgspec.Struct, frozen=True, tag=True):
    """Something to be done.

    :ivar label: of its own, for names of files in the working directory.
    """

    label: str


class Scan(Task, frozen=True, kw_only=True):
    """Look what a volume of an increment holds.

    :ivar digest: algorithm and hexadecimal digits; None where the manifest is missing.
    :ivar index: where its index is, if it has one.
    """

    path: bytes
    digest: tuple[str, str] | None
    index: Place | None


class Extract(Task, frozen=True, kw_only=True):
    """Bring the content of a volume to the destination.

    :ivar increment: number in the chain.
    :ivar actions: name of the run of the increment's actions.
    :ivar proved: it has been read and found to be whole already, or what is wanted of it.
    """

    path: bytes
    digest: tuple[str, str] | None
    index: Place | None
    increment: int
    actions: str | None
    proved: bool


class Missing(Task, frozen=True, kw_only=True):
    """Tell from an increment's sigtar what volumes held that are not there.

    :ivar ranges: first and last key of each of them, or of several; they ascend, and None is the end of all.
    :ivar extract: bring to the destination what can be; else say what happened to the paths.
    :ivar besides: names of runs of events: paths in them are not missing.
    """

    path: bytes
    ranges: list[tuple[bytes, bytes | None]]
    increment: int
    actions: str | None
    extract: bool
    besides: list[str]


class Assemble(Task, frozen=True, kw_only=True):
    """Make files of parts."""

    groups: list[Group]


class Answer(msgspec.Struct, frozen=True, tag=True):
    """What a worker says."""


class Tick(Answer, frozen=True):
    """How far a task is: bytes read since the last time, files and bytes written."""

    consumed: int


class Done(Answer, frozen=True):
    """A task is done; see :class:`cya.engine.native.reading.outcome.Outcome`.

    :ivar seen: numbers of the wanted keys of which there was something.
    :ivar ends: of a volume that was looked at: where it begins and ends.
    :ivar unset: what could not be set of how many things, and the key of the first.
    """

    files: int
    size: int
    kept: int
    not_owned: int
    lost: list[tuple[bytes, str]]
    runs: list[str]
    seen: list[int]
    ends: Ends | None = None
    unset: dict[str, tuple[int, bytes]] = {}


class Damaged(Answer, frozen=True):
    """The file is missing or damaged; ``locked`` when it could not be decrypted."""

    reason: str
    locked: bool


class Failed(Answer, frozen=True):
    """The worker cannot go on: name of the error's class, and its message."""

    kind: str
    message: str


AnyTask = Scan | Extract | Missing | Assemble
AnyAnswer = Tick | Done | Damaged | Failed


class Setting(msgspec.Struct, frozen=True):
    """What a worker has to know.

    :ivar target: descriptor of the destination; -1: nothing is written there.
    :ivar work: descriptor of the working directory.
    :ivar own: a word of its own.
    :ivar channel: descriptor by which it is told, and answers.
    :ivar wanted: keys; none for everything.
    :ivar time: of the backup, in seconds since the epoch.
    :ivar temporary: a private directory, for gpg.
    :ivar signers: keys by one of which all has to be signed; none: no signature is looked at.
    :ivar without: keys; these and all below them are passed over.
    :ivar extras: name of the file in the working directory that says what else there is of paths.
    :ivar instead: keys of what gets other places than its own, and the keys of those.
    :ivar links: keys that are passed over, too.
    """

    target: int
    work: int
    own: str
    channel: int
    wanted: list[bytes]
    existing: int
    time: int
    numeric: bool
    passphrase: bytes | None
    gnupg_home: bytes | None
    temporary: bytes
    without: list[bytes] = []
    extras: str | None = None
    instead: list[tuple[bytes, bytes]] = []
    signers: list[str] = []
    links: list[bytes] = []
