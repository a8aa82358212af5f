"""The stock duplicity programs that tests run against: Debian's, and the newest, each skipped visibly where missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PROGRAMS = {
    "0.8": Path(os.environ.get("CYA_DUPLICITY_0", "/usr/bin/duplicity")),
    "3": Path(os.environ.get("CYA_DUPLICITY_3", PROJECT / ".venv-duplicity3/bin/duplicity")),
}
MAKERS = {"0.8": ("0.8", "duplicity"), "3": ("3", "duplicity"), "native": ("3", "native")}
"""What makes backups: a stock program, which also restores them, and an engine."""


@contextmanager
def gpg_home() -> Iterator[Path]:
    """Make an empty gpg home with a cheap key derivation; its path is short, because the agent's sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="gpg-", dir="/tmp"))
    # 1024 is taken for "not set", and measured anew for each message: 0.4 s each.
    (path / "gpg.conf").write_text("s2k-count 65536\n")
    (path / "gpg-agent.conf").write_text("default-cache-ttl 0\nmax-cache-ttl 0\n")
    try:
        yield path
    finally:
        subprocess.run(["gpgconf", "--homedir", path, "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(path, ignore_errors=True)


def program(version: str) -> Path:
    """Return a stock duplicity, or skip the test."""
    found = PROGRAMS[version]
    if not os.access(found, os.X_OK):
        pytest.skip(f"duplicity {version} is not here ({found}); tools/set-up test installs it")
    return found
