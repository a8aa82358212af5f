"""What an archive on another host lets its client read: loans, and the index of its backups.

All of it is the server's word. Only files with Duplicity's names count, and nothing that is read here names a place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cya.errors import ArchiveError
from cya.format import names
from cya.transport import index, listing, loan, session
from cya.transport.account import Account
from cya.transport.index import Index
from cya.transport.listing import Found, is_plain
from cya.transport.loan import Note
from cya.transport.patience import Patience
from cya.transport.retrying import AT_FIRST, persist
from cya.transport.trouble import Broken, Refused
from cya.tree import layout

_OUTGOING = f"/{layout.OUTGOING}"
_LONGEST_NOTE = 1 << 20
_LONGEST_INDEX = 64 << 20
_MOST_LOANS = 100


@dataclass(frozen=True)
class Lent:
    """A loan.

    :ivar name: of its directory in ``outgoing/``.
    :ivar files: sizes in bytes of its Duplicity files, by name.
    """

    name: str
    note: Note
    files: Mapping[bytes, int]

    def path(self, file: bytes) -> str:
        """Return where a file lies on the archive host."""
        return f"{_OUTGOING}/{self.name}/{file.decode()}"


@dataclass(frozen=True)
class Outgoing:
    """What there is to read.

    :ivar loans: those that last longest first.
    :ivar bad: what is wrong with loans that are none.
    :ivar index: the list of all backups, where it was asked for and the archive tells it.
    """

    loans: tuple[Lent, ...]
    bad: tuple[str, ...]
    index: Index | None


def look(account: Account, place: Path, patience: float | None = None, *, index_too: bool = False) -> Outgoing:
    """Ask the archive what it lends.

    :param place: an empty directory below the account's home, for what is fetched.
    :param patience: seconds for which a connection is tried; None: as the account's settings say, at most a minute.
    :param index_too: ask for the index, too.
    :raises ArchiveError: when it cannot be reached, is no archive, or its index is malformed.
    """
    return _Look(account, place, patience).outgoing(index_too=index_too)


def fetch(account: Account, files: Sequence[tuple[str, Path, int]], stop: threading.Event) -> None:
    """Fetch files: where each is, where it goes (below the account's home), and its size in bytes. Only tried once.

    :raises ArchiveError: when they cannot be fetched, or one has another size now.
    """
    batch = [f"get {path} {to.relative_to(account.home)}" for path, to, _ in files]
    try:
        # A server that sends more than it has said would fill the disk.
        session.run(account, batch, stop, largest=max(size for _, _, size in files) + 1)
    except Broken:
        _check_sizes(account, files, lambda there, size: there <= size)
        raise
    _check_sizes(account, files, lambda there, size: there == size)


def _check_sizes(account: Account, files: Sequence[tuple[str, Path, int]], right: Callable[[int, int], bool]) -> None:
    for path, to, size in files:
        if not right(to.stat().st_size if to.exists() else 0, size):
            raise ArchiveError(f"{account.address}: {path} changed while it was fetched; run again")


class _Look:
    """Looks around in ``outgoing/``."""

    def __init__(self, account: Account, place: Path, patience: float | None) -> None:
        self._account, self._to, self._stop = account, place / "small", threading.Event()
        limit = min(AT_FIRST, account.settings.give_up_after * 60) if patience is None else patience
        self._patience = Patience(limit, self._stop)
        self._bad: list[str] = []

    def outgoing(self, *, index_too: bool) -> Outgoing:
        try:
            there = self._listed(_OUTGOING)
        except Refused as error:
            if not error.missing:
                raise
            raise ArchiveError(
                f"{self._account.address}: this account is no archive root: it has no {_OUTGOING}; is it the archive's "
                "own sshd that listens there? (cya add-client prints its port)"
            ) from error
        loans = sorted(self._loans(there), key=lambda each: each.note.expires, reverse=True)
        return Outgoing(tuple(loans), tuple(self._bad), self._index(there) if index_too else None)

    def _loans(self, there: Mapping[bytes, Found]) -> Iterator[Lent]:
        found = [name.decode() for name in sorted(there) if is_plain(name) and loan.is_loan(name.decode())]
        for name in found[:_MOST_LOANS]:
            where = f"{_OUTGOING}/{name}"
            try:
                inside = self._listed(where)
                data = self._small(where, layout.LOAN_NOTE, inside, _LONGEST_NOTE)
            except Refused as error:
                if error.missing:
                    continue  # it has just been taken back
                raise
            try:
                yield Lent(name, loan.decode(data or b""), _files(inside))
            except ValueError as error:
                self._bad.append(f"{self._account.address}: {where}/{layout.LOAN_NOTE}: {error}; it is not looked at")

    def _index(self, there: Mapping[bytes, Found]) -> Index | None:
        data = self._small(_OUTGOING, layout.INDEX, there, _LONGEST_INDEX)
        if data is None:
            return None
        try:
            return index.decode(data)
        except ValueError as error:
            raise ArchiveError(f"{self._account.address}: {_OUTGOING}/{layout.INDEX}: {error}") from error

    def _listed(self, where: str) -> dict[bytes, Found]:
        batch = [f"cd {where}", "@ls -lan"]
        return listing.read(persist(lambda: session.run(self._account, batch, self._stop), self._patience), where)

    def _small(self, where: str, name: str, there: Mapping[bytes, Found], most: int) -> bytes | None:
        """Fetch a small file; None when there is none, or it is too large to be one."""
        found = there.get(name.encode())
        if found is None or not found.regular or found.size > most:
            return None
        size = found.size
        persist(lambda: fetch(self._account, [(f"{where}/{name}", self._to, size)], self._stop), self._patience)
        data = self._to.read_bytes()
        self._to.unlink()
        return data


def _files(inside: Mapping[bytes, Found]) -> dict[bytes, int]:
    return {
        name: found.size
        for name, found in inside.items()
        if found.regular and is_plain(name) and names.parse(name) is not None
    }
