"""What a client can know of its backups on another host: from what is lent to it, and from its engine's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cya import catalog
from cya.catalog import Catalog
from cya.client import lent
from cya.client.places import private_cache, sftp_home
from cya.config.address import SftpAddress
from cya.config.client import ClientConfig
from cya.engine.duplicity_options import NAME
from cya.engine.private import Private
from cya.engine.scratch import held, remove_stale, temporary
from cya.errors import ArchiveError, CyaError

_PREFIX = "known-"


@contextmanager
def sigtars_of(
    address: SftpAddress, settings: ClientConfig | None, *, given: bool, say: Callable[[str], None]
) -> Iterator[Catalog]:
    """Bring the sigtars of all that is lent together with those that the engine keeps of the newest chain.

    :param settings: whose engine's cache counts.
    :param given: the archive was asked for by name: only what it lends counts, and it has to lend something.
    :param say: is told what to say to people.
    :raises ArchiveError: when the archive cannot be reached, and ``given`` or nothing is known here.
    :raises RestoreError: when nothing is lent, and ``given`` or nothing is known here.
    """
    with ExitStack() as stack:
        if settings is not None:
            private_cache(settings)
            home = sftp_home(settings)
        else:
            home = stack.enter_context(temporary()) / "sftp"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_stale(home, _PREFIX)
        place = stack.enter_context(held(home, _PREFIX))
        known = _linked(settings, place) if settings is not None and not given else None
        account = lent.account_of(settings, address, home)
        try:
            with lent.opened(account, None if known is None else 0) as lending:
                if known is None:
                    lending.check()
                lending.fetch_sigtars(known, place)
                if not lending.outgoing.loans:
                    say(_only_known(f"{address} lends nothing now"))
        except ArchiveError as error:
            if known is None:
                raise
            say(_only_known(str(error)))
        yield catalog.read(place)


def _linked(settings: ClientConfig, place: Path) -> Catalog | None:
    """Link what the engine keeps into ``place``; return what is there, None if that is nothing."""
    kept = Private(private_cache(settings)).archive_dir / NAME
    for file in kept.glob("*.sigtar*"):
        (place / file.name).symlink_to(file)
    try:
        return catalog.read(place)
    except CyaError:
        return None


def _only_known(reason: str) -> str:
    return f"{reason}; what follows is of the newest chain, as the engine keeps it here: older backups are there only"
