"""Every error that cya raises on purpose, and the exit code that each ends with.

::

    CyaError                      1   failed
    ├── UsageError                2   wrong usage
    │   └── ConfigError           2   a config or key file is missing, malformed, or readable by others
    ├── MissingProgram            1   gpg, duplicity, … is not installed
    ├── ClockError                1   the clock stands before the last backup
    ├── EngineError               1   an engine could not make or read a backup
    │   ├── DecryptionFailed      1   wrong passphrase, or the secret key is not there
    │   └── NotInBackup           1   a path that the backup does not hold
    ├── RestoreError              1   nothing that can be restored, or no place to restore to
    ├── ArchiveError              1   the archive's directory is missing, not writable, full or malformed
    ├── SnapshotError             1   no snapshot of the source could be taken, or one became full
    ├── HookFailed                1   a command of the administrator's failed, or took too long
    ├── DumpFailed                1   a database could not be dumped
    ├── Interrupted               1   Ctrl-C or SIGTERM
    ├── NothingToDo              11   the archive does not want an upload now
    ├── Locked                   12   another run holds the lock
    └── IntegrityError           13   what is committed, or what was uploaded, is damaged
        └── BatchRefused         13   the archive refused an upload (it is in quarantine)

Exit code 10, "done, but some files could not be read", is not an error: the backup was made.

A message names the thing, the reason and the way out; it is shown to people as it is, without a traceback.
"""

from __future__ import annotations

from collections.abc import Collection

OK = 0
DONE_WITH_WARNINGS = 10


class CyaError(Exception):
    """Base of all errors that a user or a client can cause.

    :ivar details: all that an outside program said, where one was run.
    """

    exit_code = 1
    details = ""


class UsageError(CyaError):
    """A wrong argument."""

    exit_code = 2


class ConfigError(UsageError):
    """A config or key file that is missing, malformed, or readable by others."""


class MissingProgram(CyaError):
    """An outside program that is needed is not installed."""


class ClockError(CyaError):
    """The clock stands before the last backup."""


class EngineError(CyaError):
    """An engine could not make or read a backup."""


class DecryptionFailed(EngineError):
    """The passphrase is wrong, or the secret key is not there."""


class NotInBackup(EngineError):
    """A path that the backup does not hold."""


class RestoreError(CyaError):
    """Nothing that can be restored, or no place to restore to."""


class ArchiveError(CyaError):
    """The archive's directory is missing, not writable, full or malformed."""


class SnapshotError(CyaError):
    """No snapshot of the source could be taken, or one became full while it was read."""


class HookFailed(CyaError):
    """A command of the administrator's failed, or took too long."""


class DumpFailed(CyaError):
    """A database could not be dumped."""


class Interrupted(CyaError):
    """The run was stopped by Ctrl-C or SIGTERM."""


class NothingToDo(CyaError):
    """The archive does not want an upload now."""

    exit_code = 11


class Locked(CyaError):
    """Another run holds the lock."""

    exit_code = 12


class IntegrityError(CyaError):
    """What is committed, or what was uploaded, is damaged."""

    exit_code = 13


class BatchRefused(IntegrityError):
    """The archive refused an upload; it lies in quarantine with the reason."""


def gravest(codes: Collection[int]) -> int:
    """Return the exit code for what happened to several roots: the gravest of theirs.

    >>> gravest({12, 1})
    1
    """
    order = (IntegrityError.exit_code, CyaError.exit_code, UsageError.exit_code, Locked.exit_code)
    return next((code for code in order if code in codes), OK)
