"""Runs the system's own programs for an administrator's verbs: short, with argument lists, in a plain environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from cya.errors import ArchiveError, MissingProgram

_STANDARD_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_TIMEOUT = 120
"""Seconds."""


def find(program: str, package: str) -> str:
    """Return the path of a program; cron and some shells leave the directories of root's programs out of ``PATH``.

    :param package: Debian's package that holds it, for the message.
    :raises MissingProgram: when it is not installed.
    """
    found = shutil.which(program, path=":".join(_STANDARD_PATH))
    if found is None:
        raise MissingProgram(f"{program} is not installed: apt-get install {package}")
    return found


def run(program: str, package: str, arguments: Sequence[str], doing: str) -> str:
    """Run a program and return what it printed.

    :param doing: what it is run for, for the message: ``cannot make the user web1``.
    :raises MissingProgram: when it is not installed.
    :raises ArchiveError: when it fails, with its own words.
    """
    command = [find(program, package), *arguments]
    env = {"PATH": ":".join(_STANDARD_PATH), "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
    try:
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ArchiveError(f"{doing}: {command[0]}: {error}") from error
    if done.returncode != 0:
        said = "; ".join((done.stderr.strip() or done.stdout.strip()).splitlines()) or "no message"
        raise ArchiveError(f"{doing}: {program} failed with exit code {done.returncode}: {said}")
    return done.stdout
