"""Turns what duplicity and gpg say at the end of a failed run into our errors, with a way out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cya.engine.duplicity_log import Record
from cya.errors import ConfigError, CyaError, DecryptionFailed, EngineError, IntegrityError, MissingProgram, NotInBackup

_FILE = re.compile(r"(?<![\w.-])(duplicity-[\w.-]+\.(?:difftar|sigtar|manifest)(?:\.gz|\.gpg|\.p7m)?)(?![\w.-])")
_FULL = ("No space left on device", "Disk quota exceeded")
_WRONG_KEY = (
    "Bad session key",
    "No secret key",
    "Bad passphrase",
    "No passphrase given",
    "secret key not available",
    "Inappropriate ioctl for device",
)
_BROKEN = (
    "zlib inflate problem",
    "no valid OpenPGP data",
    "has been manipulated",
    "invalid packet",
    "CRC error",
    "unexpected end",
    "WARNING: message was not integrity protected",
    "EOFError",
    "BadGzipFile",
    "zlib.error",
    "ReadError",
    "HeaderError",
    "Invalid checksum",
)
_NO_RECIPIENT = re.compile(r"gpg: (.+?): skipped: (.+)")
_TRACEBACK = "Traceback ("
KEY_NEEDED = "give the right passphrase or key"
_EARLIER = "an earlier backup may be whole"
_SELECTION_CODES = (14, 15, 16)
_NO_GPG = ("failed to determine gnupg version", "GnuPG binary not found", "No such file or directory: 'gpg'")


@dataclass
class Failure:
    """What is known about a run that failed.

    :ivar program: duplicity's path.
    :ivar doing: for people: ``backup of /home``.
    :ivar returncode: as of :class:`subprocess.Popen`.
    :ivar errors: records of level ERROR, in order.
    :ivar copying: the file that was being fetched from the served chain last.
    :ivar tails: last lines of standard error and output.
    :ivar places: for people, and the directories in which the run writes.
    :ivar missing: names of files that the manifests call for and that are not there.
    :ivar way_out: what to do when something cannot be decrypted.
    """

    program: str
    doing: str
    returncode: int
    errors: Sequence[Record] = ()
    copying: str | None = None
    tails: Iterable[bytes] = ()
    places: Mapping[str, Path] = field(default_factory=dict)
    missing: Sequence[str] = ()
    way_out: str = KEY_NEEDED


def explain(failure: Failure) -> CyaError:
    """Return the error to raise.

    What duplicity said is in its notes, of a traceback only the last line. All of it is its attribute ``details``.
    """
    messages = [record.message for record in failure.errors] or [b"\n".join(failure.tails).decode(errors="replace")]
    said = "\n".join(messages)
    error = _explain(failure, said)
    noted = (_last_line(message) if _TRACEBACK in message else message.strip() for message in messages)
    error.add_note("\n".join(filter(None, noted)) or "duplicity said nothing")
    error.details = said.strip()
    return error


def _explain(failure: Failure, said: str) -> CyaError:
    doing, codes = failure.doing, {record.code for record in failure.errors}
    if any(sign in said for sign in _FULL) or codes & {35, 53}:
        return EngineError(f"{doing}: no space left {_fullest(failure.places)}; make room there and run again")
    if any(sign in said for sign in _NO_GPG):
        return MissingProgram(f"{doing}: gpg is not installed: apt-get install gnupg")
    if 19 in codes:
        return NotInBackup(f"{doing}: the backup does not hold this path; paths are relative to the source")
    if codes & set(_SELECTION_CODES):
        return ConfigError(f"{doing}: duplicity refuses a pattern: {_one_line(said)}")
    if any(sign in said for sign in _WRONG_KEY):
        at = f"{failure.copying}: " if failure.copying else ""
        return DecryptionFailed(f"{doing}: {at}cannot be decrypted: {_gpg_reason(said)}; {failure.way_out}")
    return _integrity(failure, said, codes) or _other(failure, said)


def _integrity(failure: Failure, said: str, codes: set[int]) -> CyaError | None:
    doing, named = failure.doing, _FILE.search(said)
    if 21 in codes and named:
        return IntegrityError(f"{doing}: {named[1]} is damaged: its hash is not the one in the manifest; {_EARLIER}")
    if failure.missing:
        return IntegrityError(f"{doing}: missing: {', '.join(failure.missing)}; {_EARLIER}")
    if any(sign in said for sign in _BROKEN):
        name = (named[1] if named else None) or failure.copying or "a file of the chain"
        return IntegrityError(f"{doing}: {name} is damaged: {_gpg_reason(said)}; {_EARLIER}")
    if codes & {4, 5, 6, 17, 18}:
        return IntegrityError(f"{doing}: the served chain is not whole: {_one_line(said)}")
    return None


def _other(failure: Failure, said: str) -> CyaError:
    recipient = _NO_RECIPIENT.search(said)
    if recipient:
        return EngineError(
            f"{failure.doing}: cannot encrypt to {recipient[1]}: {recipient[2]}; its public key is missing, expired or "
            "cannot encrypt: import one that can into gpg"
        )
    if 51 in {record.code for record in failure.errors}:
        return EngineError(f"{failure.doing}: {_one_line(said)}: no permission")
    if failure.returncode < 0 and not failure.errors:
        return EngineError(f"{failure.doing}: duplicity was ended by signal {-failure.returncode}")
    if failure.returncode in (126, 127) and not failure.errors:
        return EngineError(f"{failure.program}: cannot be run: {_last_line(said)}")
    return EngineError(f"{failure.doing}: duplicity failed (exit {failure.returncode}): {_one_line(said)}")


def _fullest(places: Mapping[str, Path]) -> str:
    """Say which of some directories is full: the one with the least room."""
    rooms = []
    for what, place in places.items():
        try:
            there = os.statvfs(place)
        except OSError:
            continue
        rooms.append((there.f_bavail * there.f_frsize, f"in {place} ({what})"))
    return min(rooms)[1] if rooms else "on a disk"


def _gpg_reason(said: str) -> str:
    lines = [line.removeprefix("gpg: ") for line in said.split("\n") if line.startswith("gpg: ")]
    telling = [line for line in lines if any(sign in line for sign in (*_WRONG_KEY, *_BROKEN))]
    return (telling or lines or [_last_line(said)])[0]


def _one_line(said: str) -> str:
    """Cut a traceback down to its last line, and anything else to one line."""
    if _TRACEBACK in said:
        return _last_line(said)
    return " ".join(said.split()) or "it did not say why"


def _last_line(said: str) -> str:
    lines = (line.strip() for line in reversed(said.split("\n")))
    return next((line for line in lines if line and not line.startswith("=====")), "it did not say why")
