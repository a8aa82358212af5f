"""What an archive on another host lends its client: a source to restore from, and to look into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cya import catalog
from cya.catalog import Backup, Catalog
from cya.config.address import SftpAddress
from cya.config.client import ClientConfig
from cya.config.sftp import SftpConfig
from cya.engine.scratch import held, remove_stale
from cya.errors import RestoreError
from cya.transport import outgoing
from cya.transport.account import Account
from cya.transport.downloads import Downloads

_PREFIX = "lent-"


def account_of(config: ClientConfig | None, address: SftpAddress, home: Path) -> Account:
    """Return the account that lends.

    :param config: its table ``sftp`` counts; without one, what ssh finds by itself.
    :param home: a private directory.
    """
    return Account(address, config.sftp if config is not None else SftpConfig(), home)


@contextmanager
def opened(account: Account, patience: float | None = None, *, index_too: bool = False) -> Iterator[Lending]:
    """Ask what is lent; what is fetched is removed at the end.

    :param patience: seconds for which a connection is tried at first; None: up to a minute.
    :raises ArchiveError: when the archive cannot be reached.
    """
    account.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    account.prepare()
    remove_stale(account.home, _PREFIX)
    with held(account.home, _PREFIX) as place:
        yield Lending(account, place, outgoing.look(account, place, patience, index_too=index_too))


class Lending:
    """All loans of an account.

    :ivar outgoing: what the archive says of them.
    """

    def __init__(self, account: Account, place: Path, there: outgoing.Outgoing) -> None:
        self._account, self._place, self.outgoing = account, place, there

    def check(self) -> None:
        """Look whether anything is lent.

        :raises RestoreError: when nothing is; it says what the administrator has to run.
        """
        if not self.outgoing.loans:
            bad = "".join(f"\n{each}" for each in self.outgoing.bad)
            user = self._account.address.user
            raise RestoreError(
                f"{self._account.address}: the archive lends nothing now, and without a loan it hands nothing out. Ask "
                f"its administrator to run, on the archive host: cya lend {user} (or, for what was at an earlier time: "
                f"cya lend {user} --time T){bad}"
            )

    @cached_property
    def catalog(self) -> Catalog:
        """What can be restored from the loans, told from names. The paths of files are where they would be."""
        found = ((self._place / each.name, each.files) for each in self.outgoing.loans)
        return catalog.of_names(str(self._account.address), found)

    def until(self, end: int) -> datetime | None:
        """Return until when the backup that ends then is lent; None when it is not."""
        for each in self.outgoing.loans:
            if any(int(step.end.timestamp()) == end for step in each.note.chain):
                return each.note.expires
        return None

    @contextmanager
    def supply(self, backup: Backup) -> Iterator[Downloads]:
        """Fetch the files of a backup's chain while they are worked with."""
        wanted = [
            name
            for each in (backup.chain.increments if backup.chain else ())
            for name in self.catalog.merged[each].names
        ]
        with closing(Downloads(self._account, self.outgoing.loans, wanted, self._place)) as downloads:
            yield downloads

    def fetch_sigtars(self, without: Catalog | None, place: Path) -> None:
        """Fetch all that tells what is in the backups.

        :param without: what is known already.
        :param place: a directory, where they go.
        """
        known = without.merged if without is not None else {}
        wanted = [
            files.sigtar
            for increment, files in self.catalog.merged.items()
            if files.sigtar is not None and (increment not in known or known[increment].sigtar is None)
        ]
        with closing(Downloads(self._account, self.outgoing.loans, wanted, self._place)) as downloads:
            downloads.order(wanted)
            for name in wanted:
                path = downloads.now(name)
                if path is not None:
                    os.replace(path, place / path.name)
                downloads.release(name)
