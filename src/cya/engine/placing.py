"""Where a restore goes, and how it gets to its place.

Duplicity 3 refuses every destination that is not empty, and 0.8 with ``--force`` deletes as it goes. So what goes to an
empty directory is restored there, and everything else to a directory beside it, on the same file system, and moved into
place when all of it is there: a restore that fails has overwritten nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cya.engine import scratch
from cya.engine.protocol import Existing
from cya.errors import EngineError

PREFIX = ".cya-restore-"
_LOST_FOUND = "lost+found"


@contextmanager
def placed(destination: Path, path: Path | None, existing: Existing) -> Iterator[Path]:
    """Yield an empty or missing place to restore to; when the block ends well, all of it is where it belongs.

    :param destination: an existing directory, without symbolic links in its path.
    :param path: relative to the destination, or None for the destination itself.
    :raises EngineError: when something is in the way and is not to be kept or replaced, when the path leads out, or
        when a directory with something in it would have to go.
    """
    scratch.remove_stale(destination, PREFIX)
    check(destination, path, existing)
    final = destination if path is None else destination / path
    if path is None and not _is_in_the_way(final):
        yield final
        return
    with scratch.held(destination, PREFIX) as beside:
        new = beside / "all"
        yield new
        try:
            there = new.lstat()
            keep = existing == "keep"
            if not keep:
                _check_kept(new, final)
            _check_way(destination, path)
            final.parent.mkdir(parents=True, exist_ok=True)
            if path is None:
                _merge(new, final, keep=keep)
            else:
                _move(new, final, keep=keep)
        except OSError as error:
            raise EngineError(f"{error.filename or final}: cannot be moved into place: {error.strerror}") from error
    if path is None and not keep:
        _set_attributes(final, there)  # only now: what is beside had to be removed from it


def check(destination: Path, path: Path | None, existing: Existing) -> None:
    """Refuse a destination that a path of a backup cannot, or shall not, go to.

    :raises EngineError: says why.
    """
    if path is not None and (path.is_absolute() or ".." in path.parts or path == Path()):
        raise EngineError(f"{path}: must be a path within the backup, relative to its root")
    if not os.access(destination, os.W_OK | os.X_OK, effective_ids=True):
        raise EngineError(f"{destination}: the destination cannot be written to: no permission, or mounted read-only")
    _check_way(destination, path)
    final = destination if path is None else destination / path
    if existing == "refuse" and _is_in_the_way(final):
        raise EngineError(
            f"{final}: something is there already; choose an empty directory, or --overwrite to replace it"
        )


def _is_in_the_way(path: Path) -> bool:
    if not os.path.lexists(path):
        return False
    return path.is_symlink() or not path.is_dir() or not is_empty(path)


def is_empty(directory: Path) -> bool:
    """Whether there is nothing in a directory but what a killed restore left, and what a new file system begins with.

    :raises OSError: when it cannot be listed.
    """
    return all(
        scratch.is_scratch(name, PREFIX) or (name == _LOST_FOUND and not os.listdir(directory / name))
        for name in os.listdir(directory)
    )


def _check_way(destination: Path, path: Path | None) -> None:
    """Refuse to reach a path by way of a symbolic link: it may lead out of the destination."""
    for parent in reversed(path.parents if path is not None else ()):
        place = destination / parent
        if place.is_symlink():
            raise EngineError(
                f"{place}: is a symbolic link; what is restored to {destination / (path or '')} would go to where it "
                "points; remove the link, or restore to another directory"
            )
        if place.exists() and not place.is_dir():
            raise EngineError(f"{place}: is not a directory; remove it, or restore to another directory")


def _check_kept(new: Path, old: Path) -> None:
    """Refuse, before anything is moved, to replace a directory with something in it by what is no directory."""
    if old.is_symlink() or not old.is_dir():
        return
    mode = new.lstat().st_mode
    if not stat.S_ISDIR(mode):
        if any(old.iterdir()):
            raise EngineError(
                f"{old}: is a directory with something in it, and none in the backup; move it away and run again"
            )
        return
    os.chmod(new, stat.S_IMODE(mode) | stat.S_IRWXU)
    for name in os.listdir(new):
        _check_kept(new / name, old / name)
    os.chmod(new, stat.S_IMODE(mode))


def _move(new: Path, old: Path, *, keep: bool) -> None:
    """Move ``new`` over ``old``: directories are merged, everything else is replaced, or kept."""
    there = new.lstat()
    if keep and os.path.lexists(old):
        if stat.S_ISDIR(there.st_mode) and old.is_dir() and not old.is_symlink():
            _merge(new, old, keep=True)
        return
    if not stat.S_ISDIR(there.st_mode):
        if old.is_dir() and not old.is_symlink():
            old.rmdir()
        os.replace(new, old)
        return
    os.chmod(new, stat.S_IMODE(there.st_mode) | stat.S_IRWXU)
    if os.path.lexists(old) and (old.is_symlink() or not old.is_dir()):
        old.unlink()
    if os.path.lexists(old):
        _merge(new, old, keep=keep)
    else:
        os.rename(new, old)
    _set_attributes(old, there)


def _merge(new: Path, old: Path, *, keep: bool) -> None:
    os.chmod(new, stat.S_IRWXU)
    for name in os.listdir(new):
        _move(new / name, old / name, keep=keep)


def _set_attributes(path: Path, there: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.chown(path, there.st_uid, there.st_gid)
    os.chmod(path, stat.S_IMODE(there.st_mode))
    os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))
