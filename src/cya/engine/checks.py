"""What every engine looks at before it begins."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from cya import clock
from cya.engine import duplicity_options as options
from cya.engine.duplicity_errors import KEY_NEEDED
from cya.engine.protocol import BackupJob, Encryption
from cya.errors import ClockError, ConfigError, EngineError
from cya.format.collection import FileSet


def check_job(job: BackupJob) -> None:
    """Refuse a job that cannot work, whatever is served.

    :raises EngineError: for a source or target that is no directory.
    :raises ConfigError: for a passphrase or a volume size that cannot work.
    """
    check_directory(job.place, "the source")
    check_directory(job.target, "the target")
    check_encryption(job.encryption)
    if job.volume_size < 1:
        raise ConfigError(f"volume size {job.volume_size}: at least 1 MiB")


def check_directory(path: Path, what: str) -> None:
    """Refuse what is no directory; duplicity would make it, or back up a single file.

    :param what: is for people: the source, the target.
    :raises EngineError: says which.
    """
    if not path.is_absolute():
        raise EngineError(f"{path}: {what} must be an absolute path")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise EngineError(f"{path}: {what} does not exist; is it mounted?") from error
    except OSError as error:
        raise EngineError(f"{path}: {what} cannot be reached: {error.strerror}") from error
    if not stat.S_ISDIR(mode):
        raise EngineError(f"{path}: {what} is not a directory")


def check_encryption(encryption: Encryption) -> None:
    """Refuse an empty passphrase.

    :raises ConfigError: when it is the only key.
    """
    if encryption.passphrase == "" and not encryption.recipients:
        raise ConfigError("the passphrase is empty; give one, or recipients, or no encryption")


def way_out(encryption: Encryption, *, known: bool) -> str:
    """Return what to do when the served chain cannot be decrypted.

    :param known: whether the cache knows the chain.
    """
    if known or not encryption.recipients:
        return KEY_NEEDED
    return (
        "the cache was lost, and only the secret key can read the chain: import the secret key once (and give its "
        "passphrase), or make a new chain with `cya backup --full`"
    )


def check_clock(chain: Sequence[FileSet], job: BackupJob) -> None:
    """Refuse a time that a backup cannot have.

    :raises ClockError: when the served chain ends then or later, or duplicity knows no such year.
    """
    if not 0 < job.now < options.END_OF_TIME:
        raise ClockError(
            f"the clock stands at {clock.local(job.now)}; duplicity makes backups of the years 1970 to 2099 only; "
            "set the clock"
        )
    # At the same second duplicity would wait and then take the system's time instead of ours.
    if chain and chain[-1].end >= job.now:
        raise ClockError(
            f"the clock stands at {clock.local(job.now)}, and the last backup is of {clock.local(chain[-1].end)}; "
            "set the clock, or wait until it has passed that time"
        )
