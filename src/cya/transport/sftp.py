"""``incoming/next`` on an archive host, by OpenSSH's ``sftp``.

In the client's cache, ``sftp/``::

    next/         what engines take for incoming/next: the served chain, and what they make
    spool/        finished files on their way
    fetched/      sigtars and manifests on their way here
    known_hosts   the archive's host key, when the config has it
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cya.durable import lock
from cya.errors import ArchiveError
from cya.format.collection import collect
from cya.transport.account import Account
from cya.transport.fetching import fetch
from cya.transport.listing import Found, shown
from cya.transport.marker import File
from cya.transport.marking import say_finished
from cya.transport.remote import Remote, part
from cya.transport.served import served
from cya.transport.trouble import Broken, Refused
from cya.transport.uploader import Uploader


class SftpNext:
    """Where a client uploads that is on another machine than its archive."""

    def __init__(self, account: Account, lock_file: Path) -> None:
        """Take note of where things are; nothing is done yet.

        :param lock_file: held during an upload; the same for all configs of this user that name the account.
        """
        self._account, self._lock_file = account, lock_file
        self.directory = account.home / "next"
        self._spool, self._fetched = account.home / "spool", account.home / "fetched"
        self._remote = Remote(account)
        self._marking = False
        self._there: dict[bytes, Found] = {}
        self._served: dict[bytes, Found] = {}
        self.spool = self._new_uploader()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other uploads of this user out; see :meth:`cya.transport.protocol.Next.held`."""
        busy = f"{self._account.address}: another upload into this archive is under way"
        self._account.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with lock(self._lockable(), busy):
            for place in (self.directory, self._spool, self._fetched):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._empty()
            self._account.prepare()
            self._marking = False
            self.spool = self._new_uploader()
            self._there = self._remote.look()
            self._mirror()
            try:
                yield
            finally:
                self.spool.close()
                self._empty()

    def look(self) -> list[bytes]:
        """Return the names in ``next``, without a lock and without fetching anything.

        :raises NothingToDo, ArchiveError: as :meth:`held`.
        """
        self._account.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._account.prepare()
        return sorted(self._remote.look())

    def names(self) -> list[bytes]:
        """Return the names in ``next``, those included that are still on their way."""
        parts = map(part, self.spool.under_way)
        return sorted({*self._there, *os.listdir(os.fsencode(self.directory)), *self.spool.delivered, *parts})

    def remove(self, names: Iterable[bytes]) -> None:
        """Remove files of an upload that was broken off; only tried once.

        Nothing is removed when the marker may be there: the archive may have taken the upload already, and serve the
        very sigtar and manifest again.

        :raises ArchiveError: when they cannot be removed.
        """
        names = list(names)
        sending = self.spool.delivered
        self.spool.close()
        if self._marking:
            return
        for name in names:
            with suppress(OSError):
                os.unlink(os.path.join(os.fsencode(self.directory), name))
        self.spool = self._new_uploader()
        there = [name for name in names if name in self._there or name in sending or name.startswith(b".")]
        if there:
            self._there = self._remote.remove(there)

    def finish(self, names: Iterable[bytes]) -> int:
        """See all new files through, and write ``FINISHED``; return the number of bytes in the new files.

        Sigtar and manifest are kept here: they will be served.

        :raises ArchiveError: when they did not all arrive, or ``next`` holds anything else.
        """
        for name in names:
            if name not in self.spool.delivered:
                self.spool.deliver(self.directory / os.fsdecode(name), name)
        self.spool.flush()
        self._check_arrived(self._remote.persist(self._remote.list))
        files = tuple(self.spool.sent[name] for name in sorted(self.spool.sent))
        volumes = [name for sent in collect(self.spool.sent).sets for name in sent.volumes.values()]
        self._marking = True
        try:
            say_finished(self._remote, files, volumes[0])
        except Broken:
            raise
        except ArchiveError:
            self._marking = self._remote.patience.tries > 0
            raise
        for name in volumes:
            (self.directory / os.fsdecode(name)).unlink(missing_ok=True)
        return sum(file.size for file in files)

    def _lockable(self) -> str:
        """Return the lock file. Where its place cannot be written (a user without a home, a strict systemd unit), this
        config locks for itself; that nothing foreign is in ``next`` is checked before ``FINISHED`` in any case.
        """
        place = self._lock_file.parent
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(self._lock_file if os.access(place, os.W_OK) else self._account.home / "lock")

    def _new_uploader(self) -> Uploader:
        self._remote.stop.clear()
        return Uploader(self._spool, self._send, self._remote.stop)

    def _empty(self) -> None:
        for place in (self._spool, self._fetched):
            with suppress(FileNotFoundError):  # the cache may be deleted at any time
                for name in os.listdir(place):
                    (place / name).unlink()

    def _mirror(self) -> None:
        """Have exactly the served chain in the mirror."""
        names = served(self._there)
        self._remote.check_plain(names)
        self._served = {name: self._there[name] for name in names}
        if odd := [name for name, found in self._served.items() if not found.regular]:
            raise ArchiveError(f"{self._account.address}: {shown(odd[0])} in incoming/next is not a plain file")
        sizes = {name: found.size for name, found in self._served.items()}
        self._remote.persist(
            lambda: fetch(self._account, sizes, self._remote.run, self._fetched, self.directory),
        )

    def _send(self, file: File) -> None:
        """Send a file of the spool. What a broken connection left of it is overwritten."""
        temporary = part(file.name.encode()).decode()
        batch = [f"put {self._spool.name}/{file.name} {temporary}", f"rename {temporary} {file.name}"]

        def send() -> None:
            if self._remote.patience.tries:
                self._check_ours(self._remote.list())
            self._remote.run(batch)

        try:
            self._remote.persist(send)
        except Refused as error:
            if error.missing:
                raise self._remote.changed() from error
            raise
        if len(self.spool.sent) == 0:
            # From now on the archive leaves it as it is. Before, it may have served anew.
            self._check_ours(self._remote.persist(self._remote.list))

    def _check_ours(self, there: dict[bytes, Found]) -> None:
        """Check that ``next`` is the one that was looked at: what was served is there, and nothing of another upload.

        :raises ArchiveError: when it is not.
        """
        known = {*self._there, *self.spool.delivered, *map(part, self.spool.delivered)}
        if not self._served.keys() <= there.keys() or not there.keys() <= known:
            raise self._remote.changed()

    def _check_arrived(self, there: dict[bytes, Found]) -> None:
        """Check that ``next`` holds what was served and what was sent, whole, and nothing else.

        :raises ArchiveError: with what is wrong.
        """
        sizes = {name: found.size for name, found in self._served.items()}
        sizes |= {name: file.size for name, file in self.spool.sent.items()}
        found = {name: entry.size for name, entry in there.items()}
        wrong = [name for name in sizes.keys() | found.keys() if sizes.get(name) != found.get(name)]
        if wrong:
            raise self._remote.changed(min(wrong))
