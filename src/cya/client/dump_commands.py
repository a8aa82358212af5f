"""Which command dumps which kind of database: as text, consistent in itself, and the same for the same content."""

from __future__ import annotations

import os
import pwd
import shutil

from cya.config.dumps import DumpConfig
from cya.errors import ConfigError, MissingProgram

_POSTGRES = "postgres"
_SQLITE_FACTS = ("encoding", "page_size", "auto_vacuum", "application_id", "user_version")
"""What ``.dump`` forgets."""
_SQLITE_FACT = "SELECT 'PRAGMA {0} = ' || quote({0}) || ';' FROM pragma_{0}"
NEEDED_END = {"sqlite": b"COMMIT;\n"}
"""What a whole dump ends with, where a program may fail with exit code 0: sqlite3 writes ROLLBACK then."""


def command_of(dump: DumpConfig, told: str) -> tuple[str, ...]:
    """Return the command that writes a dump to its standard output.

    :param told: names the dump in messages.
    :raises MissingProgram: when its program is not installed.
    """
    match dump.kind:
        case "postgresql" if dump.database:
            # --create: it is restored into any server, by one command.
            options = ("--no-password", "--create", *dump.options)
            return (_program(told, "postgresql-client", "pg_dump"), *options, f"--dbname={dump.database}")
        case "postgresql":
            return (_program(told, "postgresql-client", "pg_dumpall"), "--no-password", *dump.options)
        case "mysql":
            program = _program(told, "mariadb-client", "mariadb-dump", "mysqldump")
            what = ("--databases", dump.database) if dump.database else ("--all-databases",)
            # One transaction: InnoDB's tables are all of one moment, and nobody waits. No date: it would always differ.
            plain = ("--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob")
            return (program, *dump.options, *plain, "--skip-dump-date", *what)
        case "sqlite":
            program = _program(told, "sqlite3", "sqlite3")
            facts = [_SQLITE_FACT.format(name) for name in _SQLITE_FACTS]
            quiet = ("-batch", "-bail", "-readonly", "-init", "/dev/null", "-cmd", ".timeout 60000")
            return (program, *quiet, *dump.options, str(dump.file), "BEGIN", *facts, ".dump")
        case _:
            program, *arguments = dump.command
            return (_program(told, None, program), *arguments)


def user_of(dump: DumpConfig, told: str) -> pwd.struct_passwd | None:
    """Return the user that dumps; None: the one that runs cya.

    :raises ConfigError: when there is no such user.
    """
    name = dump.user or (_POSTGRES if dump.kind == "postgresql" and os.geteuid() == 0 else None)
    if name is None:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise ConfigError(f"{told}: this host has no user {name}; name another with the key user") from error


def _program(told: str, package: str | None, *names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    advice = f": apt-get install {package}" if package else ""
    raise MissingProgram(f"{told}: {names[0]} is not installed{advice}")
