"""What is lent, written down: for the archive in ``state/loans.json``, for the client in the loan's ``LOAN.json``.

Only the first one counts. It is written before a loan can be seen, and changed when it is gone: so no loan is in
``outgoing/`` that is not written down, and one that is written down and not there has ended, or was never finished.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cya.archive import records
from cya.archive.directories import opened
from cya.archive.records import Loan, Loans
from cya.archive.root import Root, read_root, told
from cya.durable import write_file
from cya.transport import loan as notes
from cya.tree import layout

_NOTE_MODE = 0o440


def loans_of(path: Path) -> tuple[Loan, ...]:
    """Return what is lent of a root; it is only read, and no lock is taken.

    :raises ArchiveError: when the root or the record cannot be read.
    """
    with told(path), read_root(path) as root:
        return known(root)


def known(root: Root) -> tuple[Loan, ...]:
    """Return what is written down, by name.

    :raises ArchiveError: when the record is malformed.
    """
    found = records.find(root, layout.LOANS, Loans)
    return found.loans if found is not None else ()


def write_down(root: Root, loans: Iterable[Loan]) -> None:
    """Write down what is lent; without a loan there is no record."""
    record = Loans(tuple(sorted(loans, key=lambda loan: loan.name)))
    if record.loans:
        records.save(root, layout.LOANS, record)
        return
    with suppress(FileNotFoundError):
        os.unlink(layout.LOANS, dir_fd=root.state)
    os.fsync(root.state)


def put_note(root: Root, loan: Loan, directory: int) -> None:
    """Write a loan's ``LOAN.json`` into its directory, unless it is there and says the same."""
    note = _note(loan)
    with suppress(FileNotFoundError):
        fd = os.open(layout.LOAN_NOTE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        with open(fd, "rb") as file:
            if file.read() == note:
                return
    owner = (0, root.uploader[1]) if os.geteuid() == 0 else None
    write_file(layout.LOAN_NOTE, note, dir_fd=directory, mode=_NOTE_MODE, owner=owner)


def renew_note(root: Root, loan: Loan) -> None:
    """Let the ``LOAN.json`` of a loan in ``outgoing/`` say what is written down."""
    with opened(f"{layout.OUTGOING}/{loan.name}", root.top) as directory:
        put_note(root, loan, directory)


def _note(loan: Loan) -> bytes:
    chain = tuple(notes.Step(None if start is None else _time(start), _time(end)) for start, end in loan.chain)
    return notes.encode(notes.Note(_time(loan.end), _time(loan.expires), chain))


def _time(moment: int) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
