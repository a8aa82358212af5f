"""Brings files of a loan here, ahead of those who work with them: a :class:`cya.supply.Supply`.

One thread fetches: what is waited for first, then what has been ordered, as long as not too much lies here unused. A
file goes when it is not needed any more, so there is never much more than a few volumes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import EllipsisType

from cya.errors import ArchiveError
from cya.transport import outgoing
from cya.transport.account import Account
from cya.transport.outgoing import Lent
from cya.transport.patience import Patience
from cya.transport.retrying import persist
from cya.transport.trouble import Refused

_AT_ONCE = 32 << 20
"""Bytes of small files that one connection fetches."""
_UNUSED_FILES, _UNUSED_BYTES = 2, 64 << 20
"""So much may lie here before anybody has asked for it: so many files, or so many bytes of small ones."""


class Downloads:
    """Fetches files of loans. Close it at the end."""

    def __init__(self, account: Account, loans: Sequence[Lent], wanted: Iterable[bytes], place: Path) -> None:
        """Take note of what there is; nothing is fetched yet.

        :param loans: a file that several have is taken from the first of them.
        :param wanted: names of the files that count.
        :param place: an empty directory below the account's home.
        """
        self._account, self._place = account, place
        self._sizes: dict[bytes, int] = {}
        self._paths: dict[bytes, str] = {}
        for name in wanted:
            for each in loans:
                if name in each.files:
                    self._sizes[name], self._paths[name] = each.files[name], each.path(name)
                    break
        self._stop = threading.Event()
        self._patience = Patience(account.settings.give_up_after * 60, self._stop)
        self._changed = threading.Condition()
        self._ordered: dict[bytes, None] = {}
        self._urgent: dict[bytes, None] = {}
        self._here: dict[bytes, bool] = {}
        """Files that are here, and whether somebody has asked for them."""
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def names(self) -> Iterable[bytes]:
        """Return the names of all files that there are."""
        return self._sizes.keys()

    def size(self, name: bytes) -> int:
        """Return the size of a file in bytes; 0 when there is none."""
        return self._sizes.get(name, 0)

    def order(self, names: Sequence[bytes]) -> None:
        """Say which files will be needed, in this order."""
        with self._changed:
            self._ordered |= dict.fromkeys(name for name in names if name in self._sizes)
            self._wake()

    def path(self, name: bytes) -> Path | EllipsisType | None:
        """Return where a file is; None when there is none, ``...`` when it is still on its way.

        :raises ArchiveError: when it cannot be fetched.
        """
        with self._changed:
            return self._path(name)

    def now(self, name: bytes) -> Path | None:
        """Return where a file is, and wait for it if need be; None when there is none.

        :raises ArchiveError: when it cannot be fetched.
        """
        with self._changed:
            while (path := self._path(name)) is ...:
                self._changed.wait(1)
            return path

    def release(self, name: bytes) -> None:
        """Remove a file that is not needed any more."""
        with self._changed:
            if self._here.pop(name, None) is not None:
                with suppress(FileNotFoundError):
                    os.unlink(self._at(name))
            self._wake()

    def close(self) -> None:
        """End what is on its way."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _at(self, name: bytes) -> Path:
        return self._place / name.decode()

    def _path(self, name: bytes) -> Path | EllipsisType | None:
        if isinstance(self._failure, OSError):
            raise ArchiveError(f"{self._place}: {self._failure.strerror}") from self._failure
        if self._failure is not None:
            raise self._failure
        if name not in self._sizes:
            return None
        if name not in self._here:
            self._urgent[name] = None
            self._wake()
            return ...
        self._here[name] = True
        self._wake()
        return self._at(name)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="downloads", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stop.is_set() and not self._next():
                    self._changed.wait()
                if self._stop.is_set():
                    return
                batch = self._next()
            try:
                self._fetch(batch)
            except Exception as error:  # or who waits for a file would wait for ever
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            with self._changed:
                for name in batch:
                    self._here[name] = name in self._urgent
                    self._urgent.pop(name, None)
                    self._ordered.pop(name, None)
                self._changed.notify_all()

    def _next(self) -> list[bytes]:
        """Return what to fetch now."""
        if self._urgent:
            return self._few(list(self._urgent))
        unused = [self._sizes[name] for name, used in self._here.items() if not used]
        if len(unused) >= _UNUSED_FILES and sum(unused) >= _UNUSED_BYTES:
            return []
        return self._few(list(self._ordered), self._room())

    def _room(self) -> int:
        there = os.statvfs(self._place)
        return there.f_bavail * there.f_frsize

    def _few(self, names: Sequence[bytes], room: int | None = None) -> list[bytes]:
        """Return the first of some files, for one connection; no more than there is room for."""
        few: list[bytes] = []
        for name in names:
            if room is not None and sum(self._sizes[each] for each in (*few, name)) > room:
                break
            few.append(name)
            if sum(self._sizes[each] for each in few) >= _AT_ONCE:
                break
        return few

    def _fetch(self, batch: Sequence[bytes]) -> None:
        needed = sum(self._sizes[name] for name in batch)
        if needed > self._room():
            raise ArchiveError(
                f"{self._place.parent}: no space for what the archive lends: {needed:,} bytes are needed at once; make "
                "room there, or set cache_dir in the config (without a config: TMPDIR)"
            )
        files = [(self._paths[name], self._at(name), self._sizes[name]) for name in batch]
        try:
            persist(lambda: outgoing.fetch(self._account, files, self._stop), self._patience)
        except Refused as error:
            if not error.missing:
                raise
            raise ArchiveError(
                f"{self._account.address}: the loan is there no more: it was taken back, or its time was over. Ask "
                f"the archive's administrator for it again: cya lend {self._account.address.user}"
            ) from error
