"""Making config and key files: never over an existing one, for their owner alone, and all of them or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cya.durable import sync_dir
from cya.errors import ConfigError


@contextmanager
def new_files(files: Mapping[Path, bytes]) -> Iterator[None]:
    """Make files, mode 0600, in their order, and their directories, mode 0700; all are on the disk when it is done.

    If that or the block fails, everything that was made is taken away again, and nothing else.

    :raises ConfigError: when one exists already, or cannot be made.
    """
    with ExitStack() as undo:
        for file, data in files.items():
            for directory in reversed([each for each in file.parents if not os.path.lexists(each)]):
                _make_directory(directory, undo)
            _make_file(file, data, undo)
        yield
        undo.pop_all()


def _make_directory(directory: Path, undo: ExitStack) -> None:
    try:
        directory.mkdir(mode=0o700)
        undo.callback(_quietly, os.rmdir, directory)
        _sync_parent(directory)
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be made: {error.strerror}") from error


def _make_file(file: Path, data: bytes, undo: ExitStack) -> None:
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        undo.callback(_quietly, os.unlink, file)
        with open(fd, "wb") as output:
            os.fchmod(fd, 0o600)
            output.write(data)
            output.flush()
            os.fsync(fd)
        _sync_parent(file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be made: {error.strerror}") from error


def _sync_parent(path: Path) -> None:
    # The directory may be given by a symbolic link, which sync_dir does not follow.
    sync_dir(str(path.parent.resolve()))


def _quietly(remove: Callable[[Path], None], path: Path) -> None:
    with suppress(OSError):
        remove(path)
