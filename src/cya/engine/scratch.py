"""Directories for one run, locked while they are in use, so that what a killed run left can be told from them.

What lies in them is plaintext: it goes when the run ends, however it ends, and after kill -9 the next run removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cya.durable import DIRECTORY
from cya.errors import EngineError

_TEMPORARY = "cya-"


@contextmanager
def held(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a directory in ``parent`` that nobody else takes for stale, and remove it when the block ends.

    :raises EngineError: when it cannot be made.
    """
    try:
        path, fd = _made(parent, prefix)
    except OSError as error:
        raise EngineError(f"{parent}: no directory can be made in it: {error.strerror}") from error
    try:
        yield path
    finally:
        _remove_tree(path)
        os.close(fd)


@contextmanager
def temporary() -> Iterator[Path]:
    """Make one in the system's directory for temporary files, for runs that have no cache."""
    parent = Path(tempfile.gettempdir())
    remove_stale(parent, _TEMPORARY)
    with held(parent, _TEMPORARY) as path:
        yield path


def remove_stale(parent: Path, prefix: str) -> None:
    """Remove directories that killed runs of this user left in ``parent``.

    Where a directory cannot be locked at all (NFS), nothing is taken for stale.
    """
    for name in os.listdir(parent):
        if is_scratch(name, prefix):
            with suppress(OSError):
                _remove_if_stale(parent / name)


def is_scratch(name: str, prefix: str) -> bool:
    """Whether this is a name that :func:`held` gives."""
    return re.fullmatch(re.escape(prefix) + r"\w{8}", name, re.ASCII) is not None


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            fd = _open(path)
        except FileNotFoundError:
            continue  # not locked yet, it was taken for stale
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        except OSError:
            return path, fd  # no locks here; see remove_stale
        if os.path.lexists(path):
            return path, fd
        os.close(fd)


def _remove_if_stale(path: Path) -> None:
    fd = _open(path)
    try:
        if os.fstat(fd).st_uid == os.geteuid():
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_tree(path)
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    return os.open(path, DIRECTORY)


def _remove_tree(path: Path) -> None:
    # Restored directories may be without write permission.
    for place, directories, _ in os.walk(path):
        for inner in (os.path.join(place, name) for name in directories):
            if not os.path.islink(inner):
                with suppress(OSError):
                    os.chmod(inner, 0o700)
    shutil.rmtree(path, ignore_errors=True)
