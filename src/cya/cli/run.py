"""Runs a command and turns what happens into a message and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from typer.exceptions import TyperException

from cya.errors import OK, CyaError, Interrupted, UsageError

_INTERRUPTED = 130
"""What Typer makes of a KeyboardInterrupt."""


def run(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run a Typer application whose commands return their exit code; return it.

    What a user, a client or the machine can cause ends in a message, never in a traceback.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was begun is cleaned up
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = int(app(arguments, standalone_mode=False) or OK)
        if code == _INTERRUPTED:
            raise Interrupted("interrupted")
        sys.stdout.flush()
        return code
    except CyaError as error:
        return _say(error)
    except TyperException as error:
        message = error.format_message()  # empty where the help has just been shown
        return _say(UsageError(f"{message} (--help tells more)")) if message else UsageError.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `cya list | head`
        return OK
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return _say(CyaError(f"{where}{error.strerror or error}"))


@contextmanager
def interrupted_means(consequence: str) -> Iterator[None]:
    """Say what it means when the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {consequence}") from None


def _say(error: CyaError) -> int:
    print(f"cya: {error}", file=sys.stderr)
    for note in getattr(error, "__notes__", ()):
        print(note, file=sys.stderr)
    return error.exit_code
