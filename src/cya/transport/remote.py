"""The account's ``incoming/next`` as ``sftp`` shows it: listed, changed, and tried again when a connection breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from cya.errors import ArchiveError, NothingToDo
from cya.transport import listing, session
from cya.transport.account import Account
from cya.transport.listing import Found, shown
from cya.transport.patience import Patience
from cya.transport.retrying import AT_FIRST, Result, persist
from cya.transport.trouble import Refused
from cya.tree import layout

MARKER = layout.MARKER.encode()
_NEXT = f"/{layout.INCOMING}/{layout.NEXT}"


class Remote:
    """``next`` on the archive host.

    :ivar stop: ends what is under way, and all that is begun, until it is cleared.
    :ivar patience: of all but the first connection.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.stop = threading.Event()
        self.patience = Patience(account.settings.give_up_after * 60, self.stop)

    def look(self) -> dict[bytes, Found]:
        """Return what is in ``next`` when an upload is about to begin.

        :raises NothingToDo: when nothing is wanted.
        :raises ArchiveError: when the archive cannot be reached, or is none.
        """
        place = self.account.address
        try:
            there = self.persist(self.list, Patience(min(AT_FIRST, self.patience.limit), self.stop))
        except Refused as error:
            if not error.missing:
                raise
            if not error.line.endswith(layout.NEXT):
                raise ArchiveError(
                    f"{place}: this account is no archive root: it has no /{layout.INCOMING}; is it the archive's own "
                    "sshd that listens there? (cya add-client prints its port)"
                ) from error
            raise NothingToDo(
                f"{place}: the archive wants no upload now (there is no incoming/next): it has not collected since the "
                "last one, or not yet made the next; it runs cya collect from a timer"
            ) from error
        if MARKER in there:
            raise NothingToDo(f"{place}: the archive has not collected the last upload yet; it runs cya collect")
        return there

    def list(self) -> dict[bytes, Found]:
        """Return what is in ``next``; only tried once.

        :raises Refused: with ``missing``, when there is no ``next``.
        """
        batch = [f"cd /{layout.INCOMING}", f"cd {layout.NEXT}", "@ls -lan"]
        return listing.read(session.run(self.account, batch, self.stop))

    def run(self, batch: Sequence[str]) -> bytes:
        """Carry out a batch in ``next``; only tried once. Errors are those of :func:`cya.transport.session.run`."""
        return session.run(self.account, [f"cd {_NEXT}", *batch], self.stop)

    def remove(self, names: Iterable[bytes]) -> dict[bytes, Found]:
        """Remove files, as far as they are there; return what is left in ``next``. Only tried once.

        :raises ArchiveError: when one cannot be removed, or has a name that no client has made.
        """
        names = list(names)
        self.check_plain(names)
        left = listing.read(self.run([*(f"-rm {name.decode()}" for name in names), "@ls -lan"]))
        for name in names:
            if name in left:
                raise ArchiveError(
                    f"{self.account.address}: {shown(name)} in incoming/next cannot be removed, and belongs to no "
                    "upload that can go on; have it removed on the archive host"
                )
        return left

    def check_plain(self, names: Iterable[bytes]) -> None:
        """Check that names can stand in a batch.

        :raises ArchiveError: for one that cannot.
        """
        if odd := sorted(name for name in names if not listing.is_plain(name)):
            raise ArchiveError(
                f"{self.account.address}: incoming/next holds a file with an odd name, {shown(odd[0])}, which cya has "
                "not made and does not touch; have it removed on the archive host"
            )

    def changed(self, name: bytes | None = None) -> ArchiveError:
        """Return the error to raise when ``next`` is not what it should be; ``name`` is what is wrong there."""
        what = f"{shown(name)} in it is missing, foreign, or has another size" if name else "it is not as it was"
        return ArchiveError(
            f"{self.account.address}: incoming/next has changed: {what}: somebody else uploads with this account, or "
            "the archive has served anew meanwhile. Nothing was committed; run again"
        )

    def persist(self, act: Callable[[], Result], patience: Patience | None = None) -> Result:
        """Do something; see :func:`cya.transport.retrying.persist`."""
        return persist(act, patience or self.patience)


def part(name: bytes) -> bytes:
    """Name a file while it is on its way; the archive takes such names for nothing."""
    return b".%b.part" % name
