"""What a check knows of a root: what lies where, what the ledger says, and what it found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cya.format.names import Kind, parse, parse_strict
from cya.tree import layout
from cya.tree.chain import Increment
from cya.tree.levels import Period

Inode = tuple[int, int]
"""Device and inode number: what tells a file from its names."""

Bads = Mapping[tuple[bytes, Inode], str]
"""What is wrong with a file under a name: exchanged hard links are right under one and wrong under another."""

Digests = Mapping[bytes, str]
"""SHA-256 in hexadecimal by name: an increment's ledger entry."""


@dataclass(frozen=True)
class Entry:
    """A directory entry, as ``lstat`` tells it; ``mode`` with the type, sizes in bytes, times in nanoseconds."""

    mode: int
    uid: int
    gid: int
    nlink: int
    size: int
    inode: Inode
    mtime: int


@dataclass(frozen=True)
class Place:
    """A period's directory: itself, its ``files/`` (None: there is none), what lies in that, and what is foreign."""

    period: Period
    entry: Entry
    files_entry: Entry | None
    files: Mapping[bytes, Entry]
    foreign: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """The committed tree at one moment.

    :ivar places: by period; the empty period is ``backups/`` itself.
    :ivar elsewhere: how many names below the root, outside of ``backups/``, each inode of the tree has.
    :ivar planned: names that a collect was about to link, by period: they may be there or not.
    :ivar pending: increments that are being committed, or were refused: they may have a ledger entry and lie nowhere.
    :ivar ledger: the increments' entries; a text instead says why one cannot be used.
    :ivar foreign: paths in ``state/ledger/`` that are no entries.
    """

    places: Mapping[Period, Place]
    elsewhere: Mapping[Inode, int]
    planned: Mapping[Period, frozenset[bytes]]
    pending: frozenset[Increment]
    ledger: Mapping[Increment, Digests | str]
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What committed files must be: whose, and with which modes. ``gids`` None: any group."""

    uid: int
    gids: frozenset[int] | None
    adopted: bool

    @property
    def file_modes(self) -> frozenset[int]:
        """The cya of 2012 made files readable for all; only its directory ``backups/`` kept others out."""
        return frozenset({0o440, 0o444}) if self.adopted else frozenset({0o440})


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be. ``path`` is below the root; a note (no ``damage``) needs no action."""

    kind: str
    path: str
    message: str
    damage: bool = True


@dataclass
class Held:
    """Where one increment's files lie: by name, then by period."""

    names: dict[bytes, dict[Period, Entry]] = field(default_factory=dict)

    @property
    def periods(self) -> set[Period]:
        """All periods that hold any of it."""
        return {period for places in self.names.values() for period in places}


def increment_of(name: bytes, rules: Rules) -> Increment | None:
    """Return the increment that a committed file belongs to; None for what does not belong into the tree."""
    read = parse_strict(name)
    if read is None and rules.adopted:
        read = parse(name)
    if read is None or read.partial or read.kind is Kind.STATISTICS:
        return None
    return Increment(read.start, read.end)


def held(look: Look, rules: Rules) -> dict[Increment, Held]:
    """Return where the files of each increment lie, increments oldest first."""
    found: dict[Increment, Held] = {}
    for place in look.places.values():
        for name, entry in place.files.items():
            increment = increment_of(name, rules)
            if increment is not None:
                found.setdefault(increment, Held()).names.setdefault(name, {})[place.period] = entry
    return {increment: found[increment] for increment in sorted(found, key=lambda i: (i.end, i.start or 0))}


def path_of(period: Period, name: bytes | None = None) -> str:
    """Return where a period's ``files/``, or a file in it, lies below the root; any byte can be shown."""
    directory = f"{layout.BACKUPS}/{layout.files_of(period)}"
    return directory if name is None else f"{directory}/{shown(name)}"


def shown(name: bytes) -> str:
    """Return a name for people and for JSON: what is not printable ASCII is escaped."""
    return name.decode("latin-1").encode("unicode_escape").decode() if not name.isascii() else _plain(name.decode())


def _plain(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
