"""The walk over the source: all that is selected, in the order of a backup, while others may change it.

Depth first, siblings in the order of their bytes. Directories are opened by name below the open directory that they
were seen in, and no symbolic link is followed: whoever puts one in a directory's place leads nobody away, and a path
may be longer than the kernel takes one. What is excluded by its path alone is not even looked at.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from cya.engine.native.beneath import DIRECTORY, open_beneath, open_directory
from cya.engine.native.known import Stat
from cya.engine.native.matching import Matcher, Verdict
from cya.engine.protocol import Selection
from cya.metadata.look import Extra

MOST_OPEN = 128
"""Directories that are held open, the source not counted. Upper ones are closed, and opened again on the way back."""

_UNDECIDED = (Verdict.UNDECIDED, Verdict.UNDECIDED)
_TRIES = 5
_CLOSED = -1
_PLAIN = frozenset((stat.S_IFREG, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK))
_MOVED = "its directory was moved meanwhile"
_UNSTEADY = "it changes all the time"


Look = Callable[[int, bytes, os.stat_result, int], Extra | None]
"""As :func:`cya.metadata.look.look`."""


class _Changed(Enum):
    CHANGED = auto()


_CHANGED = _Changed.CHANGED
"""Another thing has taken its place between two looks."""


class Later(NamedTuple):
    """What else a regular file has, and what it takes to look: an index may know that it has nothing.

    :ivar directory: descriptor of the directory that it lies in; open until the walk goes on.
    :ivar there: what ``lstat`` said of it.
    """

    look: Look
    directory: int
    name: bytes
    there: os.stat_result


class Found(NamedTuple):
    """Something that belongs in the backup.

    :ivar key: the path below the source, NUL between its components; empty for the source itself.
    :ivar stat: of the thing itself, not of what a link points to.
    :ivar link: where a symbolic link points to; else empty.
    :ivar extra: what else it has, where that is looked at.
    :ivar guard: only its own inode may be stored, which has these other names, too; None: whatever has its name then.
    :ivar capable: it has capabilities: what has none must not be stored in its place, since it would get them.
    :ivar bare: it was looked at, and has nothing else.
    :ivar later: how to look what else it has, where the walk has left that for later.
    """

    key: bytes
    stat: Stat
    link: bytes
    extra: Extra | None = None
    guard: tuple[bytes, ...] | None = None
    capable: bool = False
    bare: bool = False
    later: Later | None = None


class Unread(NamedTuple):
    """Something that could not be looked at; what an earlier backup had of it must be kept.

    :ivar key: as in :class:`Found`.
    :ivar reason: for people.
    :ivar below: only what lies below it: it is a directory that was found itself, right before this, but not listed.
    """

    key: bytes
    reason: str
    below: bool


@dataclass(slots=True)
class _Directory:
    """A directory that the walk is in, or about to enter.

    :ivar found: what is said of it.
    :ivar fd: open, or _CLOSED.
    :ivar prefix: of the keys of what is in it.
    :ivar path: absolute, with a slash at its end.
    :ivar names: those that are still to come.
    :ivar unlisted: why they are not known.
    :ivar waits: whether it belongs in the backup only with something below it.
    """

    found: Found
    fd: int
    prefix: bytes
    path: bytes
    names: Iterator[bytes]
    unlisted: str = ""
    waits: bool = False


class Scan:
    """Iterates, once, over what is selected: the source, and all below it. Keys ascend strictly as plain bytes.

    Only an :class:`Unread` with ``below`` has the key of the :class:`Found` before it.

    :ivar sockets: how many were met and left out, since a tar archive has none.
    :ivar unknown: how many things of an unknown type were left out.
    :ivar excluded: how many were left out because of the selection, not counting what lies below these.
    """

    def __init__(
        self,
        root_fd: int,
        source: Path,
        selection: Selection,
        lines: bytes = b"",
        only: Collection[bytes] = (),
        look: Look | None = None,
        later: bool = False,
    ) -> None:
        """Prepare the walk; nothing is read yet.

        :param root_fd: the source, open for reading; stays the caller's, and open until the iteration ends.
        :param source: the source's absolute path with its symbolic link resolved, for the patterns only.
        :param lines: what :func:`cya.engine.selection.check` made of the patterns, for the source and any link to it.
        :param only: keys; only these paths are looked at, what lies below them, and the directories on the way.
            None given: everything.
        :param look: looks at what else there is of each thing; then sockets are found, too.
        :param later: leave regular files to the caller, who may know that there is nothing.
        :raises ConfigError: when a line cannot work, or the source lies in what is always left out.
        """
        self._root_fd = root_fd
        self._only = () if b"" in only else tuple(key + b"\0" for key in only)
        self._path = os.path.join(os.fsencode(source), b"")
        self._matcher = Matcher(selection, source, lines)
        self._device = 0
        self._look_at, self._later = look, later
        self.sockets = self.unknown = self.excluded = 0

    def __iter__(self) -> Iterator[Found | Unread]:
        """Walk.

        :raises OSError: when the source itself cannot be looked at.
        """
        there = os.fstat(self._root_fd)
        look = self._look_at
        root = Found(b"", there, b"", look(self._root_fd, b".", there, self._root_fd) if look else None)
        self._device = there.st_dev
        yield root
        try:
            names = _listed(self._root_fd)
        except OSError as error:
            yield Unread(b"", _reason(error), below=True)
            return
        way = [_Directory(root, self._root_fd, b"", self._path, self._wanted(b"", names))]
        try:
            yield from self._walk(way)
        finally:
            for directory in way[1:]:
                _close(directory)

    def _walk(self, way: list[_Directory]) -> Iterator[Found | Unread]:
        """Walk on from the directories that are open."""
        # The last directories of the way, as far as nothing was found in them yet that they would be included for.
        pending: list[Found] = []
        look = self._look
        while way:
            here = way[-1]
            for name in here.names:
                seen = look(here, name)
                if seen is None:
                    continue
                if pending and not (isinstance(seen, _Directory) and seen.waits):
                    yield from pending
                    pending.clear()
                if not isinstance(seen, _Directory):
                    yield seen
                    continue
                if seen.waits:
                    pending.append(seen.found)
                else:
                    yield seen.found
                if not seen.unlisted:
                    _enter(way, seen)
                    break
                yield Unread(seen.found.key, seen.unlisted, below=True)
            else:
                if pending:
                    pending.pop()
                self._leave(way)

    def _look(self, here: _Directory, name: bytes) -> Found | Unread | _Directory | None:
        """Look at one thing; None if it is excluded, or gone."""
        verdict, other = self._verdicts(here.path, name)
        if verdict is other is Verdict.EXCLUDE:
            self.excluded += 1
            return None
        try:
            for _ in range(_TRIES):
                there = os.stat(name, dir_fd=here.fd, follow_symlinks=False)
                kind = there.st_mode & 0o170000
                if kind == stat.S_IFDIR:
                    if not self._chosen(verdict, there):
                        return None
                    found = self._opened(here, name, there, waits=verdict is Verdict.SCAN)
                    if found is not _CHANGED:
                        return found
                elif not self._chosen(other, there):
                    return None
                elif kind in _PLAIN:
                    return self._found(here, name, there, b"")
                elif kind != stat.S_IFLNK:
                    return self._odd(here, name, there)
                elif link := _target(name, here.fd):
                    return self._found(here, name, there, link)
        except FileNotFoundError:
            return None
        except OSError as error:
            return Unread(here.prefix + name, _MOVED if here.fd == _CLOSED else _reason(error), below=False)
        return Unread(here.prefix + name, _UNSTEADY, below=False)

    def _wanted(self, prefix: bytes, names: list[bytes]) -> Iterator[bytes]:
        """Yield those names in a directory that are to be looked at."""
        if not self._only:
            return iter(names)
        keys = ((name, prefix + name + b"\0") for name in names)
        return (name for name, key in keys if any(key.startswith(only) or only.startswith(key) for only in self._only))

    def _verdicts(self, parent: bytes, name: bytes) -> tuple[Verdict, Verdict]:
        """Decide about a path, should it be a directory, and should it be something else."""
        if self._matcher.idle:
            return _UNDECIDED
        path = parent + name
        verdict = self._matcher.verdict(path, True)
        if self._matcher.by_kind:
            return verdict, self._matcher.verdict(path, False)
        return verdict, Verdict.EXCLUDE if verdict is Verdict.SCAN else verdict

    def _chosen(self, verdict: Verdict, there: os.stat_result) -> bool:
        if verdict is Verdict.UNDECIDED:
            chosen = not self._matcher.one_file_system or there.st_dev == self._device
        else:
            chosen = verdict is not Verdict.EXCLUDE
        self.excluded += not chosen
        return chosen

    def _found(self, here: _Directory, name: bytes, there: os.stat_result, link: bytes) -> Found:
        look = self._look_at
        if look is None:
            return Found(here.prefix + name, there, link)
        if self._later and there.st_mode & 0o170000 == stat.S_IFREG:
            return Found(here.prefix + name, there, link, later=Later(look, here.fd, name, there))
        return Found(here.prefix + name, there, link, look(here.fd, name, there, _CLOSED))

    def _odd(self, here: _Directory, name: bytes, there: os.stat_result) -> Found | None:
        """Count something that no archive can hold, and maybe tell of it."""
        if not stat.S_ISSOCK(there.st_mode):
            self.unknown += 1
            return None
        self.sockets += 1
        return self._found(here, name, there, b"") if self._look_at is not None else None

    def _opened(
        self, here: _Directory, name: bytes, there: os.stat_result, *, waits: bool
    ) -> _Directory | _Changed | None:
        """Open a directory and list it; None if it has a mark.

        :raises FileNotFoundError: when it is gone.
        """
        key = here.prefix + name
        opened = _Directory(Found(key, there, b""), _CLOSED, key + b"\0", here.path + name + b"/", iter(()), "", waits)
        names: list[bytes] = []
        try:
            opened.fd = open_directory(name, here.fd)
            if _identity(os.fstat(opened.fd)) != _identity(there):
                _close(opened)
                return _CHANGED
            names = _listed(opened.fd)
        except FileNotFoundError:
            _close(opened)
            raise
        except NotADirectoryError:
            _close(opened)
            return _CHANGED
        except OSError as error:
            _close(opened)
            opened.unlisted = _reason(error)
            # What an earlier backup has of it can only be kept with the directory itself.
            opened.waits = False
        if not self._matcher.marks.isdisjoint(names):
            _close(opened)
            self.excluded += 1
            return None
        if (look := self._look_at) is not None:
            opened.found = opened.found._replace(extra=look(here.fd, name, there, opened.fd))
        opened.names = self._wanted(opened.prefix, names)
        return opened

    def _leave(self, way: list[_Directory]) -> None:
        """Go back to the directory above, which may have to be opened again."""
        done = way.pop()
        if not way:
            return
        above = way[-1]
        if above.fd == _CLOSED:
            above.fd = self._reopened(above, done.fd)
        _close(done)

    def _reopened(self, directory: _Directory, below: int) -> int:
        """Open a directory again from one that was in it, or else by its path; _CLOSED if it has been moved away."""
        path = directory.found.key.replace(b"\0", b"/")
        for start, way in ((below, b".."), (self._root_fd, path)):
            if start == _CLOSED:
                continue
            try:
                fd = open_directory(way, start) if way == b".." else open_beneath(start, way, DIRECTORY)
            except OSError:
                continue
            if _identity(os.fstat(fd)) == _identity(directory.found.stat):
                return fd
            os.close(fd)
        return _CLOSED


def _enter(way: list[_Directory], directory: _Directory) -> None:
    """Go into a directory. Too many open ones: of those above, one is closed, but never the source."""
    way.append(directory)
    if len(way) > MOST_OPEN + 1:
        _close(way[-MOST_OPEN - 1])


def _close(directory: _Directory) -> None:
    if directory.fd != _CLOSED:
        os.close(directory.fd)
        directory.fd = _CLOSED


def _listed(fd: int) -> list[bytes]:
    """Return the names in a directory, sorted; all of them or none, should reading fail half-way."""
    names = os.listdir(fd)
    # All in one go is quicker. While the directory changes, a file system may tell a name twice.
    return sorted(set(os.fsencode("\0".join(names)).split(b"\0"))) if names else []


def _target(name: bytes, dir_fd: int) -> bytes:
    """Return where a symbolic link points to, or nothing if it is none any more."""
    try:
        return os.readlink(name, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return b""
        raise


def _identity(there: Stat) -> tuple[int, int]:
    return there.st_dev, there.st_ino


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
