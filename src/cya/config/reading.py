"""Reading a config file: permissions, TOML, types. Every error names the file, the key and what is expected."""

from __future__ import annotations

import difflib
import errno
import os
import shlex
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from cya.config import writing
from cya.config.keys import Key, keys
from cya.errors import ConfigError

Struct = TypeVar("Struct", bound=msgspec.Struct)

SECRET = 0o077
"""Permission bits that a file with secrets, or that names programs to run, must not have."""
SHARED = 0o022
"""Permission bits that a file that everybody may read must not have."""

_LIMIT = 1 << 20
_SHOWN = 60
_REASONS = {errno.ENOENT: "there is no such file", errno.EACCES: "this user may not read it"}


def read_file(path: Path, *, forbidden: int, others_own: bool = False, if_missing: str = "") -> str:
    """Read a small text file that nobody else can have tampered with.

    What is checked is what was opened, so that nothing can be swapped in between; symbolic links are followed.

    :param forbidden: permission bits that are refused, :data:`SECRET` or :data:`SHARED`.
    :param others_own: accept a file of a user who is neither root nor the one that runs this.
    :param if_missing: what to do when there is no such file, for the message.
    :raises ConfigError: when the file is missing, unreadable, not a file, too large, not UTF-8, or open to others.
    """
    try:
        # O_NONBLOCK: opening a FIFO would wait for a writer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
            _check_status(path, os.fstat(file.fileno()), forbidden, others_own)
            data = file.read(_LIMIT + 1)
    except OSError as error:
        advice = f"; {if_missing}" if if_missing and error.errno == errno.ENOENT else ""
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise ConfigError(f"{path}: {reason}{advice}") from error
    if len(data) > _LIMIT:
        raise ConfigError(f"{path}: larger than 1 MiB: this cannot be the right file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}: not UTF-8 (line {line})") from error


def _check_status(path: Path, status: os.stat_result, forbidden: int, others_own: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path}: not a regular file")
    if not others_own and status.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"{path}: belongs to uid {status.st_uid}, neither to root nor to the user that runs cya "
            f"(uid {os.geteuid()}), and could be changed by that user; run: chown {os.geteuid()} {_quoted(path)}"
        )
    if status.st_mode & forbidden:
        what, fix = ("read or write", "600") if forbidden == SECRET else ("write", "go-w")
        raise ConfigError(
            f"{path}: group or others may {what} it (mode {stat.S_IMODE(status.st_mode):04o}); "
            f"run: chmod {fix} {_quoted(path)}"
        )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def parse(text: str, file: Path) -> dict[str, Any]:
    """Parse TOML.

    :raises ConfigError: with the line, when it is malformed.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: malformed TOML: {error}") from error


def build(
    kind: type[Struct],
    table: Mapping[str, Any],
    file: Path,
    within: str = "",
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Struct:
    """Make a struct of a parsed table.

    :param file: for messages.
    :param within: the table's own dotted path with a dot behind it, or nothing.
    :param given: values of fields that are not keys, and computed defaults of keys.
    :raises ConfigError: for an unknown or missing key, a wrong type, or a value that a key's check refuses.
    """
    declared = {key.name: key for key in keys(kind)}
    for name in table:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, 1)
            advice = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(declared)}"
            raise ConfigError(f"{file}: {within}{writing.bare_or_quoted(name)}: unknown key; {advice}")
    values: dict[str, Any] = dict(given)
    for name, key in declared.items():
        if name in table:
            values[name] = _value(key, table[name], file, within + name)
        elif key.default is msgspec.NODEFAULT and name not in given:
            raise ConfigError(f"{file}: {within}{name}: missing; expected {key.expected}")
    return kind(**values)


def _value(key: Key, found: Any, file: Path, dotted: str) -> Any:
    try:
        if key.table and isinstance(found, dict):
            value: Any = build(key.table, found, file, f"{dotted}.")
        elif key.tables and isinstance(found, dict) and all(isinstance(each, dict) for each in found.values()):
            inner = {name: f"{dotted}.{writing.bare_or_quoted(name)}." for name in found}
            value = {name: build(key.tables, found[name], file, inner[name]) for name in found}
        else:
            value = msgspec.convert(found, key.type, dec_hook=_path)
        fits = key.check is None or key.check(value)
    except msgspec.ValidationError as error:
        raise _unfit(key, found, file, dotted) from error
    except ValueError as error:
        raise ConfigError(f"{file}: {dotted}: {error}") from error
    if not fits:
        raise _unfit(key, found, file, dotted)
    return value


def _unfit(key: Key, found: Any, file: Path, dotted: str) -> ConfigError:
    return ConfigError(f"{file}: {dotted}: expected {key.expected}, found {_shown(found)}")


def _path(kind: type, value: Any) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise ValueError("not a path")
    # pathlib keeps a leading //, and then no other path would lie below it.
    return Path("/" + value.lstrip("/") if value.startswith("//") else value)


def _shown(found: Any) -> str:
    """Write a value as in the file, in one short line."""
    if isinstance(found, dict):
        return "a table" if found else "an empty table"
    if isinstance(found, list) and any(isinstance(item, (dict, list)) for item in found):
        return "a list of lists or tables"
    text = writing.value(found)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
