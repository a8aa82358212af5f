"""Starts a module of ours as a process of its own, which is told on its standard input what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress

import msgspec

from cya.errors import EngineError


def started(module: str, setting: msgspec.Struct, descriptors: Collection[int]) -> subprocess.Popen[bytes]:
    """Start a module.

    It is a program of its own and not a fork, since we may have threads. The current directory is none of the places
    in which it looks for modules.

    :param setting: what it reads, as JSON.
    :param descriptors: that it inherits.
    :raises EngineError: when it cannot be started.
    """
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=descriptors,
            cwd="/",
        )
    except OSError as error:
        raise EngineError(f"a process for reading files cannot be started: {error.strerror}") from error
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # that it has ended is noticed when it does not answer
            process.stdin.write(msgspec.json.encode(setting))
            process.stdin.close()
    return process
