"""Dumps of databases, as files of the backup that the source does not have: ``.dumps/NAME.sql``."""

from __future__ import annotations

import os
from functools import partial

from cya.client.dump_commands import NEEDED_END, command_of, user_of
from cya.client.dump_stream import opened
from cya.config.client import ClientConfig
from cya.config.dumps import DumpConfig
from cya.engine.protocol import VirtualEntry

DIRECTORY = b".dumps"


def is_dump(key: bytes) -> bool:
    """Whether a key (components with NUL between them) is that of a dump, or of their directory."""
    return key.partition(b"\0")[0] == DIRECTORY


def entries(config: ClientConfig, now: int) -> tuple[VirtualEntry, ...]:
    """Return the entries of a backup; each dump is made when the engine comes to it.

    :param now: the time of the backup, seconds since the epoch.
    :raises MissingProgram: when a program that dumps is not installed.
    :raises ConfigError: when there is no such user.
    """
    if not config.dumps:
        return ()
    owner = os.geteuid(), os.getegid()
    found = [VirtualEntry(DIRECTORY, None, 0o700, *owner)]
    for name, dump in sorted(config.dumps.items()):
        told = f"dumps.{name}"
        command, user = command_of(dump, told), user_of(dump, told)
        stream = partial(opened, command, user, told, NEEDED_END.get(dump.kind, b""))
        found.append(VirtualEntry(path_of(name, dump), stream, 0o600, *owner, now))
    return tuple(found)


def path_of(name: str, dump: DumpConfig) -> bytes:
    """Return the path of a dump in the backup."""
    return DIRECTORY + b"/" + name.encode() + (b"" if dump.kind == "command" else b".sql")
