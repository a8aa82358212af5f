"""Patterns for paths of a backup, in the words of a config's ``selection.patterns``."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from cya.engine.selection import to_regex
from cya.errors import UsageError
from cya.format.key import path_of


class Globs:
    """Some patterns: one without a slash is for names, any other for whole paths below the source.

    ``*`` and ``?`` stop at a slash, ``**`` does not, ``[…]`` is a set.
    """

    def __init__(self, patterns: Sequence[str], origin: Path | None, *, ignore_case: bool = False) -> None:
        """Compile them.

        :param origin: the directory that was backed up, where it is known: patterns may begin with it.
        :raises UsageError: for one that names nothing, or a set that cannot be.
        """
        flags = re.S | (re.I if ignore_case else 0)
        tests: dict[bool, list[str]] = {False: [], True: []}
        for pattern in patterns:
            glob = _relative(pattern, origin)
            if not glob:
                raise UsageError(f"pattern {pattern!r}: names nothing; '**' means everything")
            try:
                re.compile(to_regex(glob), flags)
            except re.error as error:
                raise UsageError(f"pattern {pattern!r}: {error}") from None
            tests["/" in pattern.rstrip("/") or "**" in glob].append(to_regex(glob))
        self._names, self._paths = (
            re.compile("|".join(f"(?:{test})" for test in tests[whole]), flags).fullmatch if tests[whole] else None
            for whole in (False, True)
        )

    def match(self, key: bytes) -> bool:
        """Whether a path, given by its key, is meant."""
        path = os.fsdecode(path_of(key))
        return bool(
            (self._names is not None and self._names(path.rpartition("/")[2]))
            or (self._paths is not None and self._paths(path))
        )


def _relative(pattern: str, origin: Path | None) -> str:
    top = f"{origin}/".replace("//", "/") if origin is not None else "/"
    return pattern.removeprefix(top).strip("/") if pattern.startswith("/") else pattern.rstrip("/")
