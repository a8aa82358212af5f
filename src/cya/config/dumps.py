"""The tables ``dumps.NAME`` of a client's config: databases that are dumped into the backup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cya.config.keys import key

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,100}", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?", re.ASCII)


def _absolute(path: Path) -> bool:
    return path.is_absolute() and "\0" not in str(path)


def _name(text: str) -> bool:
    return bool(text) and text.isprintable() and not text.startswith("-")


def _user(text: str) -> bool:
    return _USER.fullmatch(text) is not None


def _words(words: tuple[str, ...]) -> bool:
    return not any("\0" in word for word in words)


class DumpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table ``dumps.NAME``."""

    kind: Annotated[
        Literal["postgresql", "mysql", "sqlite", "command"],
        key(
            '"postgresql", "mysql", "sqlite" or "command"',
            'What is dumped: a database server ("mysql" is MariaDB, too), an SQLite file, or whatever a command of '
            "your own writes.",
        ),
    ]
    database: Annotated[
        str | None,
        key(
            "the name of a database",
            "PostgreSQL, MySQL: the database. Without this key: all of them, with the users.",
            example="shop",
            check=_name,
        ),
    ] = None
    file: Annotated[
        Path | None,
        key("an absolute path", "SQLite: the database's file.", example="/var/lib/shop/shop.db", check=_absolute),
    ] = None
    command: Annotated[
        tuple[str, ...],
        key(
            "a list of a program and its arguments",
            "A command of your own: what it writes to its standard output is kept.",
            example=("slapcat",),
            check=_words,
        ),
    ] = ()
    user: Annotated[
        str | None,
        key(
            "the name of a user of this host",
            "Run the dump as this user. Without this key: as postgres for PostgreSQL if cya runs as root, else as the "
            "user that runs cya.",
            example="postgres",
            check=_user,
        ),
    ] = None
    options: Annotated[
        tuple[str, ...],
        key(
            "a list of words",
            "Further options for the program that dumps, such as a host or a file with a password.",
            example=("--host=db1",),
            check=_words,
        ),
    ] = ()


def what_is_wrong(name: str, dump: DumpConfig) -> str | None:
    """Return what does not fit together in a table; None: all does."""
    if not NAME.fullmatch(name):
        return "the name of a dump has letters, digits, '.', '_' and '-' only, and begins with none of '.' and '-'"
    needed = {"sqlite": ("file", dump.file), "command": ("command", dump.command)}.get(dump.kind)
    if needed is not None and not needed[1]:
        return f'kind = "{dump.kind}" needs the key {needed[0]}'
    given = {"database": dump.database, "file": dump.file, "command": dump.command}
    fitting = {"postgresql": "database", "mysql": "database", "sqlite": "file", "command": "command"}[dump.kind]
    for key_name, value in given.items():
        if value and key_name != fitting:
            return f'kind = "{dump.kind}" has no key {key_name}'
    if dump.kind == "command" and dump.options:
        return 'kind = "command" has no key options; they belong to the command'
    return None
