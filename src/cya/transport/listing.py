"""Reads what ``ls -lan`` of OpenSSH's ``sftp`` prints. All of it is the server's word, and may be anything.

With ``-n`` sftp makes the lines itself, from numbers, and does not print what the server sends as one::

    -rw-------    ? 1001     1001          325 Nov 23 23:52 duplicity-full.20261123T020000Z.manifest.gpg

Unprintable bytes of a name come as octal escapes, but the end of a line as it is: a name can forge a line. It says
nothing then that the server could not have said by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cya.errors import ArchiveError

MOST = 100_000
"""Names. An upload of 20 TB has as many volumes of the usual size."""
_LINE = re.compile(
    rb"(?P<type>[-dlbcps])[-rwxsStT]{9}[.+@]? +\S+ +\S+ +\S+ +(?P<size>[0-9]{1,19}) +"
    rb"\S+ +\S+ +[0-9:]+ (?P<name>.+)",
    re.DOTALL,
)
_SHOWN = 80
_PLAIN = re.compile(rb"[A-Za-z0-9._][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class Found:
    """An entry: its size in bytes, and whether it is a regular file."""

    size: int
    regular: bool


def read(text: bytes, where: str = "incoming/next") -> dict[bytes, Found]:
    """Return the entries by name, without ``.`` and ``..``.

    :param where: the directory, for messages.
    :raises ArchiveError: when this is no listing, or too long a one.
    """
    found: dict[bytes, Found] = {}
    for line in text.split(b"\n"):
        if not line or line.startswith(b"sftp> "):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ArchiveError(f"{where}: cannot be listed: the archive's answer has a line {shown(line)}")
        if match["name"] not in (b".", b".."):
            found[match["name"]] = Found(int(match["size"]), match["type"] == b"-")
        if len(found) > MOST:
            raise ArchiveError(f"{where}: holds more than {MOST:,} files; have it cleared on the archive host")
    return found


def is_plain(name: bytes) -> bool:
    """Whether a name can stand in a batch of ``sftp`` as it is, without being taken for an option or a pattern."""
    return _PLAIN.fullmatch(name) is not None


def shown(name: bytes) -> str:
    """Return a name for a message: short, and without anything that could move a cursor."""
    text = ascii(name[:_SHOWN].decode("utf-8", "backslashreplace"))
    return text if len(name) <= _SHOWN and len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}…'"
