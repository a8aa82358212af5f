"""Reads what duplicity tells programs through ``--log-fd``.

A record is a line ``LEVEL CODE [EXTRA]``, the message with ``. `` before each of its lines, and an empty line. Codes
and their numbers are the same in 0.8 and 3. A record whose message holds a file name that is not UTF-8 never arrives:
Python's logging fails to write it, and prints a traceback to standard error that ends in ``Message: '…'``. Those are
read there, so that nothing that was lost is hidden; their level and code are not known.
"""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass

_HEADER = re.compile(rb"(ERROR|WARNING|NOTICE|INFO|DEBUG) (\d+)(?: (.*))?")
_UNWRITTEN = re.compile(rb"Message: ('.*'|\".*\")")
_STATISTIC = re.compile(r"([A-Z][A-Za-z]+) (-?\d+(?:\.\d+)?)(?: \(.*\))?")
_FILE = re.compile(r"(\d{8}T\d{6}Z) ('.*') ([a-z]+)")


@dataclass(frozen=True)
class Record:
    """One record. ``level`` is empty and ``code`` 0 for one that was read from standard error."""

    level: str
    code: int
    extra: str
    message: str


class Parser:
    """Puts lines together to records."""

    def __init__(self) -> None:
        self._header: tuple[str, int, str] | None = None
        self._message: list[bytes] = []

    def feed(self, line: bytes) -> Record | None:
        """Take a line of the log; return the record that it ends, if it does."""
        if self._header is None:
            found = _HEADER.fullmatch(line)
            if found:
                self._header = (found[1].decode(), int(found[2]), _text(found[3] or b""))
            return None
        if line.startswith(b"."):
            self._message.append(line[2:])
            return None
        if line:
            return None  # the rest of an extra of several lines, which nothing here needs
        return self.close()

    def close(self) -> Record | None:
        """Return the record that has begun, if any: at the end of the log the empty line may be missing."""
        if self._header is None:
            return None
        record = Record(*self._header, _text(b"\n".join(self._message)))
        self._header, self._message = None, []
        return record


def unwritten(line: bytes) -> Record | None:
    """Return the record that duplicity could not write, from a line of its standard error."""
    found = _UNWRITTEN.fullmatch(line)
    if not found:
        return None
    try:
        message = ast.literal_eval(found[1].decode())
    except (ValueError, SyntaxError):
        return None
    return Record("", 0, "", str(message))


def unescape(text: str) -> bytes:
    """Return the file name that duplicity wrote as ``'…'`` with backslash escapes; ASCII only.

    :raises ValueError: when it is not written so.
    """
    if len(text) < 2 or text[0] != "'" or text[-1] != "'":
        raise ValueError(f"not a quoted file name: {text}")
    return os.fsencode(text[1:-1].encode("ascii").decode("unicode-escape"))


def file_entry(extra: str) -> tuple[str, bytes, str] | None:
    """Split what describes a listed file: its time as ``20261123T020000Z``, its path, its type."""
    found = _FILE.fullmatch(extra)
    return (found[1], unescape(found[2]), found[3]) if found else None


def statistics(message: str) -> dict[str, float] | None:
    """Read the block of statistics; None when the message is not one."""
    if "[ Backup Statistics ]" not in message:
        return None
    found = (_STATISTIC.fullmatch(line) for line in message.split("\n"))
    return {match[1]: float(match[2]) for match in found if match}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
