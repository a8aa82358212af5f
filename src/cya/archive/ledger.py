"""The ledger: for each increment the SHA-256 of its files, in the form that ``sha256sum -c`` reads.

To check by hand: ``cd $ROOT/backups/2000/…/files && sha256sum -c $ROOT/state/ledger/NAME.sha256``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from cya.archive.directories import exists, made_below
from cya.archive.root import Root
from cya.durable import write_file
from cya.format import names
from cya.tree import layout
from cya.tree.chain import Increment


def entry_name(increment: Increment) -> str:
    """Return the name of an increment's ledger file."""
    end = names.time_to_name(increment.end).decode()
    if increment.start is None:
        return f"full.{end}.sha256"
    return f"inc.{names.time_to_name(increment.start).decode()}.to.{end}.sha256"


def forget(root: Root, increments: Iterable[Increment]) -> None:
    """Remove the ledger files of increments that lie nowhere any more."""
    with made_below((layout.LEDGER,), root.state, 0o700) as ledger:
        for increment in increments:
            with suppress(FileNotFoundError):
                os.unlink(entry_name(increment), dir_fd=ledger)
        os.fsync(ledger)


def taken(root: Root, increment: Increment, digests: Mapping[str, str]) -> bool:
    """Tell whether another backup that lies in the tree ends at the very time at which an increment does.

    In its own directories an increment ends after all others. A client that dates back could give one the time, or even
    the name, of a backup in another directory, and whoever looks at the tree as a whole would mix them up.

    An entry of the increment itself was written by a run that was stopped; one of which nothing lies anywhere says
    nothing. Trees of the 2012 cya have no entries until they are checked.
    """
    last = f".{names.time_to_name(increment.end).decode()}.sha256"
    with made_below((layout.LEDGER,), root.state, 0o700) as ledger:
        entries = [name for name in os.listdir(ledger) if name.endswith(last)]
        if entries == [entry_name(increment)]:
            with open(os.open(entries[0], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=ledger), "rb") as file:
                if file.read() == _lines(digests):
                    return False
    if not entries and not exists(f"{layout.NEXT_INFO}.2012", root.state):
        return False
    return any(increment.end == other.end for other in root.catalog().holding)


def write(root: Root, increment: Increment, digests: Mapping[str, str]) -> None:
    """Write an increment's ledger file; it is on the disk when this returns."""
    with made_below((layout.LEDGER,), root.state, 0o700) as ledger:
        write_file(entry_name(increment), _lines(digests), dir_fd=ledger, mode=0o400)


def _lines(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()
