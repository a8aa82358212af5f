"""Small steps on directories, relative to descriptors and never through a symbolic link."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cya.durable import DIRECTORY


@contextmanager
def opened(name: str | bytes | Path, dir_fd: int | None = None) -> Iterator[int]:
    """Open a directory, in another one if given, for the block."""
    fd = os.open(name, DIRECTORY, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def exists(name: str, dir_fd: int) -> bool:
    """Tell whether something has this name, even a dangling symbolic link."""
    try:
        os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def remove(name: str, dir_fd: int) -> None:
    """Remove whatever has this name, with all that lies in it; nothing there is fine.

    Directories within are moved up beside it and emptied in turn: a client may have nested thousands of them, or laid
    thousands side by side. It goes last, so that a run that is killed can be run again.
    """
    if _unlinked(name, dir_fd):
        return
    head = f"{name}.removed-"
    free = (moved for number in itertools.count() if not exists(moved := f"{head}{number}", dir_fd))
    pending = [name, *(left for left in os.listdir(dir_fd) if left.startswith(head))]
    while pending:
        current = pending[-1]
        with opened(current, dir_fd) as fd:
            directories = [inner for inner in os.listdir(fd) if not (_unlinked(inner, fd) or _is_rid_of(inner, fd))]
            for inner in directories:
                pending.append(next(free))
                os.rename(inner, pending[-1], src_dir_fd=fd, dst_dir_fd=dir_fd)
        if not directories:
            os.rmdir(current, dir_fd=dir_fd)
            pending.pop()


def _is_rid_of(name: str, dir_fd: int) -> bool:
    """Remove a directory that is empty; return False for another."""
    with suppress(OSError):
        os.rmdir(name, dir_fd=dir_fd)
        return True
    return False


def _unlinked(name: str, dir_fd: int) -> bool:
    """Unlink what is no directory; return False for a directory."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):  # Linux says EISDIR; POSIX, and other systems, EPERM
        if stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            return False
        raise
    return True


def make(name: str, dir_fd: int, mode: int) -> None:
    """Make a directory with exactly this mode if it is not there yet, and make sure that its name is on the disk."""
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=dir_fd)
    with opened(name, dir_fd) as fd:
        os.fchmod(fd, mode)
    os.fsync(dir_fd)


@contextmanager
def made_below(parts: tuple[str, ...], dir_fd: int, mode: int) -> Iterator[int]:
    """Make a directory and its parents where missing, each name on the disk, and open it for the block."""
    fd = os.dup(dir_fd)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, mode, dir_fd=fd)
                os.fsync(fd)
            inner = os.open(part, DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)
