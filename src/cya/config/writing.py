"""Writing TOML with the comments that its keys are declared with."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from cya.config.keys import Key, keys
from cya.errors import ConfigError

_WIDTH = 100
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render(kind: type[msgspec.Struct], values: Mapping[str, Any], header: str) -> bytes:
    """Write a config file: every key of ``kind`` under its comment, those without a value commented out.

    :param values: by key; the value of a table is a mapping again. A value of None is the same as none.
    :param header: the comment at the top.
    :raises ConfigError: when a path is not UTF-8, which no TOML file can hold.
    """
    text = "\n\n".join([_comment(header), *_tables(kind, values)]) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\n")[2]
        name = (line + text[error.start :]).partition(" ")[0]
        raise ConfigError(f"{name}: not valid UTF-8; a config file cannot hold it, so give it another name") from error


def _tables(kind: type[msgspec.Struct], values: Mapping[str, Any]) -> list[str]:
    """Plain keys first: what follows a table's header belongs to that table."""
    declared = keys(kind)
    parts = [_line(key, values.get(key.name)) for key in declared if not key.table and not key.tables]
    for key in declared:
        if key.tables:
            parts.append(_named(key, values.get(key.name) or {}))
        if key.table:
            parts.append(f"{_comment(key.comment)}\n[{key.name}]")
            parts.extend(_tables(key.table, values.get(key.name) or {}))
    return parts


def _named(key: Key, given: Mapping[str, Any]) -> str:
    """Write a table of tables: those that are given, or an example, commented out."""
    if not given:
        lines = [_comment(key.comment), *(f"#{line}" for line in _table(f"{key.name}.NAME", key.example))]
        return "\n".join(lines)
    return "\n".join([_comment(key.comment), *(line for name in given for line in _table_of(key, name, given[name]))])


def _table_of(key: Key, name: str, values: Mapping[str, Any]) -> list[str]:
    return _table(f"{key.name}.{bare_or_quoted(name)}", values)


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    return [f"[{name}]", *(f"{key} = {value(each)}" for key, each in values.items() if each is not None)]


def _line(key: Key, given: Any) -> str:
    if given is not None:
        return f"{_comment(key.comment)}\n{key.name} = {value(given)}"
    shown = key.default if key.example is None else key.example
    return f"{_comment(key.comment)}\n#{key.name} = {value(shown)}"


def _comment(text: str) -> str:
    lines = []
    for paragraph in text.split("\n"):
        lines.extend(textwrap.wrap(paragraph, _WIDTH - 2, break_long_words=False, break_on_hyphens=False) or [""])
    return "\n".join(f"# {line}".rstrip() for line in lines)


def value(item: Any) -> str:
    """Write a value as TOML, in one line.

    :raises TypeError: for a type that config files of cya do not have.
    """
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, (str, Path)):
        # A basic string of TOML takes JSON's escapes; unlike JSON it does not take DEL as it is.
        return json.dumps(str(item), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(item, (list, tuple)):
        return f"[{', '.join(value(part) for part in item)}]"
    if isinstance(item, Mapping):
        if not item:
            return "{}"
        return f"{{ {', '.join(f'{bare_or_quoted(name)} = {value(each)}' for name, each in item.items())} }}"
    if isinstance(item, (int, float)) or hasattr(item, "isoformat"):
        return str(item)
    raise TypeError(f"{type(item).__name__} cannot be written as TOML")


def bare_or_quoted(name: str) -> str:
    """Write the name of a key."""
    return name if _BARE.fullmatch(name) else value(name)
