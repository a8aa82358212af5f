"""The real programs, in the C locale, and names for files of all sorts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import strategies as st

ENVIRONMENT = {"LC_ALL": "C", "PATH": os.environ["PATH"]}

names = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda name: name.translate(None, b"/\0")),
    st.text("\\\n\r\t =\"'-#.0137ä", max_size=12).map(str.encode),
).filter(lambda name: name not in (b"", b".", b"..", b"-"))
"""Names with every byte that can be in one; but for ``-``, by which getfacl means its standard input."""


def run(place: Path, *command: bytes | str, given: bytes = b"") -> bytes:
    """Run a program in a directory, and return what it prints; it must not fail."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"not installed: {command[0]!r}")
    done = subprocess.run(command, cwd=place, env=ENVIRONMENT, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make(place: Path, name: bytes, *, directory: bool) -> bytes:
    """Make an empty file or directory, and return its path."""
    path = os.fsencode(place) + b"/" + name
    if directory:
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    return path
