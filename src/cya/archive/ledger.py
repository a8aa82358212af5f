"""The ledger: for each increment the SHA-256 of its files, in the form that ``sha256sum -c`` reads.

To check by hand: ``cd $ROOT/backups/2000/…/files && sha256sum -c $ROOT/state/ledger/NAME.sha256``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from cya.archive.directories import made_below
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


def write(root: Root, increment: Increment, digests: Mapping[str, str]) -> None:
    """Write an increment's ledger file; it is on the disk when this returns."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    with made_below((layout.LEDGER,), root.state, 0o700) as ledger:
        write_file(entry_name(increment), lines.encode(), dir_fd=ledger, mode=0o400)
