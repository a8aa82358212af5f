"""Which of duplicity's warnings mean that a file is not in the backup, or not as it should be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from cya.engine.duplicity_log import Record, unescape
from cya.engine.protocol import Lost

# Text, for records that carry no code of their own, and for those that arrive by standard error only.
_TEXTS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str]]], ...] = (
    (re.compile(r"Error accessing possibly locked file (.+)", re.S), lambda m: (m[1], "no permission to read it")),
    (re.compile(r"Error initializing file (.+)", re.S), lambda m: (m[1], "a kind of file that cannot be saved")),
    (re.compile(r"Error listing directory (.+)", re.S), lambda m: (m[1], "the directory cannot be listed")),
    (re.compile(r"Error (.*?) getting delta for (.+)", re.S), lambda m: (m[2], m[1])),
    (re.compile(r"Error '(.*?)' (?:processing|patching) (.+)", re.S), lambda m: (m[2], m[1])),
    (
        re.compile(r"Skipping (.+) because of previous error", re.S),
        lambda m: (m[1], "left out after an error above it"),
    ),
)
_CANNOT_STAT = 9


def lost(record: Record, base: Path) -> Lost | None:
    """Return what a record says is lost, its path relative to ``base``; None for any other record.

    :param base: the source that is backed up, or the destination that is restored to.
    """
    if record.level not in ("WARNING", ""):
        return None
    for pattern, read in _TEXTS:
        found = pattern.fullmatch(record.message)
        if found:
            path, reason = read(found)
            if record.code == _CANNOT_STAT:
                reason = "it cannot be examined: no permission for its directory, or it vanished"
            return Lost(_relative(_exact(record, path), base), reason)
    return None


def _exact(record: Record, path: str) -> str:
    # The message shows a name as it is; the extra is free of doubt where there is one.
    try:
        return os.fsdecode(unescape(record.extra))
    except ValueError:
        return path


def _relative(path: str, base: Path) -> str:
    prefix = str(base).rstrip("/") + "/"
    return path.removeprefix(prefix) if path != str(base) else "."
