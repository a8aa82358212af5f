"""Where backups can be restored from: a directory of this host, or what an archive on another host lends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cya import catalog
from cya.catalog import Backup, Catalog
from cya.client.engines import reader
from cya.client.places import sftp_home
from cya.client.restore import restore
from cya.config.address import SftpAddress
from cya.config.client import ClientConfig
from cya.engine.protocol import Encryption, Engine, Report

if TYPE_CHECKING:
    from cya.client.lent import Lending


@dataclass(frozen=True)
class Restorable:
    """Backups that can be restored.

    :ivar lending: what has to be fetched while it is restored; None: all is here.
    """

    catalog: Catalog
    lending: Lending | None = None

    def restore(
        self, backup: Backup, engine: Engine, destination: Path, keys: Encryption, scratch: Path, **options: Any
    ) -> Report:
        """Restore; see :func:`cya.client.restore.restore`.

        What is fetched is restored by the native engine, whichever is given: it needs only a few volumes here at a
        time, where stock duplicity would need all of them.
        """
        if self.lending is not None and not engine.takes_supply:
            engine = reader(scratch)
        with self.lending.supply(backup) if self.lending is not None else nullcontext() as supply:
            return restore(self.catalog, backup, engine, destination, keys, scratch, supply=supply, **options)


@contextmanager
def opened(place: Path | SftpAddress, settings: ClientConfig | None, scratch: Path) -> Iterator[Restorable]:
    """Look what can be restored.

    :param scratch: a private directory for temporary files.
    :raises ArchiveError: when there is no such place, or it cannot be reached.
    :raises RestoreError: when nothing is lent.
    """
    if isinstance(place, Path):
        yield Restorable(catalog.read(place))
        return
    from cya.client import lent

    home = sftp_home(settings) if settings is not None else scratch / "sftp"
    with lent.opened(lent.account_of(settings, place, home)) as lending:
        lending.check()
        yield Restorable(lending.catalog, lending)
