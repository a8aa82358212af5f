"""The names of the places in a root, which is one client's directory on the archive::

$ROOT/
  cya.toml                 the root's settings
  backups/…/files/         the committed tree
  incoming/next/           where the client uploads; exists only when an upload is wanted
  incoming/finished/       the same, handed over by renaming, as the 2012 client does
  outgoing/LOAN/           a chain that is lent to the client, with LOAN.json beside its files
  outgoing/index.json      the list of backups, where the root's settings ask for it
  state/                   what the archive needs to know to go on after being stopped anywhere

``next.new/``, ``batch/``, ``withdrawn/`` and ``quarantine/`` lie in ``state/``, or, where ``incoming/`` is another file
system, in ``incoming/.intake/``: what a client has uploaded is moved by renaming.
"""

from __future__ import annotations

from cya.tree.levels import Period

BACKUPS = "backups"
FILES = "files"

INCOMING = "incoming"
NEXT = "next"
RENAMED = "finished"
MARKER = "FINISHED"

OUTGOING = "outgoing"
LOAN_NOTE = "LOAN.json"
INDEX = "index.json"

STATE = "state"
LOCK = "lock"
LOG = "log"
INTAKE = ".intake"
BATCH = "batch"
COPIED = "copied"
DEFERRED = "deferred.json"
NEXT_NEW = "next.new"
WITHDRAWN = "withdrawn"
SERVED = "served.json"
PLAN = "plan.json"
COMMITTED = "committed.json"
QUARANTINE = "quarantine"
LEDGER = "ledger"
LOANS = "loans.json"
OVERDUE = "overdue.json"
REMOVED = "removed"
"""The client was removed, at the time that stands in it. The backups are kept."""
PRUNING = "pruning.json"
PRUNED = "pruned"
TRIMMED = "trimmed"
LENDING = "lending"
RETURNED = "returned"

NEXT_INFO = "next_info"
"""Where the 2012 cya kept what it had served: the base and the leaf, a line each."""


def directory(period: Period) -> str:
    """Return a period's directory below ``backups/``."""
    return "/".join(period)


def files_of(period: Period) -> str:
    """Return where a period's backups lie, below ``backups/``."""
    return f"{directory(period)}/{FILES}"


def period_of(text: str) -> Period:
    """Return the period that a directory below ``backups/`` stands for.

    :raises ValueError: when it is not a relative path of plain names.
    """
    names = tuple(text.split("/"))
    if not all(names) or any(name in (".", "..") for name in names):
        raise ValueError(f"{text!r} is not a period's directory")
    return names
