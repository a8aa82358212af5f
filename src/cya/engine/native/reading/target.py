"""Makes files below the destination, and never anywhere else.

Every directory on the way is opened without following a symbolic link, and everything is made by its name in its
directory; so whatever an archive holds, and whoever changes the destination meanwhile, nothing is written outside.

What replaces something is made in the working directory, and gets its place when it is whole. A regular file where
there is nothing yet is made in its place: two names for each of very many files would take a fifth of a restore's time.
Until it is whole it has a mode that no other file has, and nobody but root can read it; by that mode the next restore
knows what a killed one has left.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from cya.engine.native.reading.copying import copy_of
from cya.engine.native.reading.done import is_done
from cya.engine.native.reading.dressing import Dressing
from cya.engine.native.reading.extras import Extras, Item
from cya.engine.native.reading.left import name_of, remove_left
from cya.engine.native.reading.owners import Owners
from cya.engine.native.reading.special import make
from cya.engine.native.reading.way import Way
from cya.format.tar_reader import Member
from cya.metadata.look import DEFAULT
from cya.metadata.sparse import Extents
from cya.renaming import rename_new

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_REGULAR = b"0"
_HALF = stat.S_ISVTX | stat.S_IWUSR
"""Mode of a file that is not whole yet."""

_SHORTEST_HOLE = 1 << 12
_ZEROS = bytes(1 << 20)

_FATAL = frozenset((errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE))
"""Errors that no other file would be spared."""
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


def path_of(directory: int) -> Path:
    """Return a path that leads into an open directory, wherever somebody may have moved it."""
    return Path(f"/proc/self/fd/{directory}")


class Existing(IntEnum):
    """What happens to what is at the destination already."""

    NOTHING = 0
    """There is nothing: what has a name is in the way."""
    KEEP = 1
    REPLACE = 2
    """What looks as it should and was not changed since the backup stays, with its other names and attributes; all else
    makes way: size and times can be put back by whoever has changed the content, the change time cannot."""
    RESUME = 3
    """What looks as it should stays: an interrupted restore has brought it there. All else makes way."""


class Kept(OSError):
    """Something is there already, and stays.

    :ivar same: it looks as it would have been restored.
    """

    def __init__(self, *, same: bool) -> None:
        super().__init__(errno.EEXIST, "something is there already")
        self.same = same

    @property
    def mark(self) -> bytes:
        """For a record of what is kept."""
        return SAME if self.same else b""


SAME = b"="


class _Directory(NamedTuple):
    """A directory that is open, the number of its file system, and whether what is made in it gets an ACL."""

    key: bytes
    fd: int
    device: int
    hands_down: bool


class Target:
    """The destination.

    :ivar kept: number of things that were there and stay.
    :ivar kept_same: whether the last of them looks as it would have been restored.
    :ivar unset: what could not be set of how many files, and the key of the first.
    """

    def __init__(
        self,
        root: int,
        work: Path,
        existing: Existing,
        owners: Owners,
        own: str,
        unchanged_since: int = 0,
        extras: Extras | None = None,
        instead: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """Take note of where things go.

        :param root: descriptor of the destination.
        :param work: the working directory, on the destination's file system.
        :param own: a word for the names of temporary files, of this process only.
        :param unchanged_since: the time of the backup, in seconds since the epoch.
        :param extras: what things have beside content, owner, mode and time.
        :param instead: keys in the backup of what gets other places than its own, and the keys of those.
        """
        self._root, self._existing, self.owners = root, existing, owners
        self._extras, self._instead = extras or Extras(None), instead or {}
        self._dressing = Dressing(owners)
        self.unset = self._dressing.unset
        self._unchanged_since = unchanged_since * 1_000_000_000
        self._replaces = existing in (Existing.REPLACE, Existing.RESUME)
        self.way = Way(root, replace=self._replaces)
        self._own = own.encode()
        self._made = b"new-" + self._own
        self._work_path, self._work, self._device = work, -1, -1
        self._owner: tuple[int, int] | None = None  # of what is made in the last directory
        self._last: _Directory | None = None
        self._tidied: tuple[int, int] | None = None
        self.kept = 0
        self.kept_same = False

    def directory(self, key: bytes) -> None:
        """Make a directory, which gets its attributes later."""
        self._last = None
        if key:
            self.way.enter(key.split(b"\0"))

    def file(self, key: bytes, member: Member, size: int, fill: Callable[[int], object]) -> None:
        """Make a regular file, which has its place when all is done.

        :param size: that it will have.
        :param fill: writes its content into a descriptor.
        :raises Kept: when something is there that stays.
        :raises OSError: when it cannot be made.
        """
        parent, name = self._parent(key)
        item = self._extras.of(key)
        self._check_kept(parent, name, member, size, item)
        try:
            if item.has_acl:
                raise FileExistsError  # two calls set mode and ACL: between them it is no half file, nor a whole one
            fd = os.open(name, _NEW, _HALF, dir_fd=parent)
        except FileExistsError:
            if self._existing is Existing.NOTHING and not item.has_acl:
                raise
            self._replacement(parent, key, member, item, fill)
            return
        try:
            try:
                if self._owner is None:
                    self._owner = (born := os.fstat(fd)).st_uid, born.st_gid
                self._fill(fd, key, item, fill)
                inherits = self._last is not None and self._last.hands_down
                self._dressing.dress(fd, key, member, item, self._owner, inherits=inherits)
            finally:
                os.close(fd)
        except BaseException:
            self._remove(parent, name)
            raise

    def _replacement(self, parent: int, key: bytes, member: Member, item: Item, fill: Callable[[int], object]) -> None:
        """Make a regular file beside its place, which may be taken."""
        with self._new(parent) as (directory, made):
            fd = os.open(made, _NEW, 0o600, dir_fd=directory)
            try:
                self._fill(fd, key, item, fill)
                self._dressing.dress(fd, key, member, item, inherits=directory == parent)
            finally:
                os.close(fd)
            self._take_place(directory, made, key, member)

    def place(self, source: str, directory: int, key: bytes, member: Member, size: int) -> None:
        """Give a regular file that is already written its attributes and its place.

        :param source: its name in the other directory, on the same file system if possible.
        :raises Kept, OSError: as :meth:`file`.
        """
        item = self._extras.of(key)
        self._check_kept(*self._parent(key), member, size, item)
        fd = os.open(source, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            self._dressing.holes(fd, key, item)
            self._dressing.dress(fd, key, member, item)
        finally:
            os.close(fd)
        self._take_place(directory, os.fsencode(source), key, member)

    def other(self, key: bytes, member: Member) -> None:
        """Make a symbolic link, a FIFO or a device.

        :raises Kept, OSError: as :meth:`file`.
        """
        parent, name = self._parent(key)
        item = self._extras.of(key)
        self._check_kept(parent, name, member, 0, item)
        with self._new(parent) as (directory, made):
            make(made, directory, member)
            self._dressing.dress_name(made, directory, key, member, item, inherits=directory == parent)
            self._take_place(directory, made, key, member)

    def link(self, source: bytes, directory: int, key: bytes, *, replaces: bool = False) -> None:
        """Give something another name.

        :param source: its name in the other directory.
        :param replaces: what is there is of this restore.
        :raises Kept, OSError: as :meth:`file`.
        """
        parent, name = self._parent(key)
        try:
            os.link(source, name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            if self._existing is Existing.NOTHING and not replaces:
                raise
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if os.path.samestat(there, os.stat(source, dir_fd=directory, follow_symlinks=False)):
                return
            if self._existing is Existing.KEEP:
                self.kept += 1
                raise Kept(same=False) from None
            with self._new(parent, beside=True) as (_, made):
                os.link(source, made, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
                if replaces:
                    os.rename(made, name, src_dir_fd=parent, dst_dir_fd=parent)
                else:
                    self._put(made, parent, name, parent)

    def copy(self, source: bytes, directory: int, key: bytes) -> None:
        """Make a copy of something in place of a link that cannot be.

        :param source: the name of a regular file or a symbolic link in the other directory.
        :raises Kept, OSError: as :meth:`file`.
        """
        parent, name = self._parent(key)
        with self._new(parent, beside=True) as (_, made):
            copy_of(source, directory, made, parent)
            if self._existing is Existing.KEEP:
                rename_new(made, parent, name, parent)
            else:
                self._put(made, parent, name, parent)

    def stays(self, key: bytes, member: Member, size: int) -> bool:
        """Whether there is something at a path that stays; then it counts as kept."""
        try:
            self._check_kept(*self._parent(key), member, size, self._extras.of(key))
        except Kept as kept:
            self.kept_same = kept.same
            return True
        return False

    def extents_of(self, key: bytes) -> Extents | None:
        """Return where a file has data, if it has holes."""
        return self._extras.of(key).extents

    def ends_all(self, error: OSError, key: bytes) -> bool:
        """Whether an error with one path is one that no other would be spared: other mounts may lie below."""
        if error.errno == errno.EROFS:
            return bool(os.fstatvfs(self._root).f_flag & os.ST_RDONLY)
        if error.errno in _FULL:
            self._last = None
            parent = self.way.deepest(key.split(b"\0")[:-1])
            return os.fstat(parent).st_dev == os.fstat(self._root).st_dev
        return error.errno in _FATAL

    def dress(self, fd: int, key: bytes, member: Member) -> None:
        """Give a directory that is open its attributes."""
        self._dressing.dress(fd, key, member, self._extras.of(key), inherits=True)

    def dress_directory(self, key: bytes, member: Member) -> None:
        """Give a directory its attributes.

        :raises OSError: when it is not there, or they cannot be given.
        """
        self._last = None
        self.dress(self.way.enter_old(key.split(b"\0")), key, member)

    def default_directory(self, key: bytes, mode: int) -> None:
        """Give a directory of which nothing is known a mode."""
        self._last = None
        os.fchmod(self.way.enter_old(key.split(b"\0")), mode)

    def close(self) -> None:
        """Close all directories."""
        self._last = None
        self.way.close()
        if self._work >= 0:
            os.close(self._work)
            self._work = -1

    def _parent(self, key: bytes) -> tuple[int, bytes]:
        """Return the directory of a path, which is made where it is missing, and the name in it.

        Most paths lie where the one before lay, which is open still.
        """
        if self._instead:
            key = self._instead.get(key, key)
        above, _, name = key.rpartition(b"\0")
        if self._last is None or self._last.key != above:
            self._last = self._owner = None
            here = self.way.enter(above.split(b"\0")) if above else self._root
            self._last = _Directory(above, here, os.fstat(here).st_dev, _hands_down(here))
        return self._last.fd, name

    @contextmanager
    def _new(self, parent: int, *, beside: bool = False) -> Iterator[tuple[int, bytes]]:
        """Yield directory and name for something to be made, and remove it if it does not get its place.

        :param beside: not in the working directory, but where it will lie: another file system may be mounted there.
        """
        directory, made = self._beside(parent) if beside or not self._is_near(parent) else (self._work, self._made)
        try:
            yield directory, made
        except BaseException:
            self._remove(directory, made)
            raise

    def _is_near(self, parent: int) -> bool:
        """Whether a directory is on the file system of the working directory, which is open then."""
        if self._work < 0:
            self._work = os.open(self._work_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._device = os.fstat(self._work).st_dev
        last = self._last
        return (last.device if last and last.fd == parent else os.fstat(parent).st_dev) == self._device

    def _beside(self, parent: int) -> tuple[int, bytes]:
        """Return directory and name for something that has to be made in its own directory."""
        made = name_of(self._own)
        there = os.fstat(parent)
        if self._tidied != (there.st_dev, there.st_ino):
            self._tidied = (there.st_dev, there.st_ino)
            remove_left(parent, self._root, self._own)
        with suppress(FileNotFoundError):
            os.unlink(made, dir_fd=parent)
        return parent, made

    def _remove(self, directory: int, made: bytes) -> None:
        with suppress(OSError):
            os.unlink(made, dir_fd=directory)

    def _fill(self, fd: int, key: bytes, item: Item, fill: Callable[[int], object]) -> None:
        """Write the content, and make the holes."""
        self._dressing.prepare(fd, item)
        fill(fd)
        self._dressing.holes(fd, key, item)

    def _check_kept(self, parent: int, name: bytes, member: Member, size: int, item: Item) -> None:
        if self._existing is Existing.NOTHING:
            return
        with suppress(FileNotFoundError):
            if self._existing is Existing.KEEP:
                if os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode == stat.S_IFREG | _HALF:
                    return
            elif self._makes_way(parent, name, member, size, item):
                return
            self.kept += 1
            same = self._existing is not Existing.KEEP or is_done(name, parent, member, size, self.owners, item)
            raise Kept(same=same)

    def _makes_way(self, parent: int, name: bytes, member: Member, size: int, item: Item) -> bool:
        changed = os.stat(name, dir_fd=parent, follow_symlinks=False).st_ctime_ns
        if self._existing is Existing.REPLACE and changed >= self._unchanged_since:
            return True
        return not is_done(name, parent, member, size, self.owners, item)

    def _take_place(self, directory: int, made: bytes, key: bytes, member: Member) -> None:
        parent, name = self._parent(key)
        try:
            self._put(made, directory, name, parent)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(directory, made, key, member)

    def _put(self, made: bytes, directory: int, name: bytes, parent: int) -> None:
        try:
            if self._existing is Existing.NOTHING:
                rename_new(made, directory, name, parent)
            else:
                os.rename(made, name, src_dir_fd=directory, dst_dir_fd=parent)
        except IsADirectoryError:
            if not self._replaces:
                raise
            os.rmdir(name, dir_fd=parent)  # one with something in it is never removed
            os.rename(made, name, src_dir_fd=directory, dst_dir_fd=parent)

    def _copy(self, directory: int, source: bytes, key: bytes, member: Member) -> None:
        """Bring something to another mount, which is below the destination."""
        parent, _ = self._parent(key)
        item = self._extras.of(key)
        with self._new(parent, beside=True) as (_, made):
            if member.kind != _REGULAR:
                make(made, parent, member)
                self._dressing.dress_name(made, parent, key, member, item, inherits=True)
            else:
                reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
                with open(reading, "rb") as file, open(os.open(made, _NEW, 0o600, dir_fd=parent), "r+b") as copy:
                    shutil.copyfileobj(file, copy, 1 << 20)
                    copy.flush()
                    self._dressing.holes(copy.fileno(), key, item)
                    self._dressing.dress(copy.fileno(), key, member, item, inherits=True)
            self._take_place(parent, made, key, member)
        os.unlink(source, dir_fd=directory)


def _hands_down(directory: int) -> bool:
    try:
        return os.fsdecode(DEFAULT) in os.listxattr(directory)
    except OSError:
        return False  # the file system has no attributes


def is_hole(data: bytes | memoryview) -> bool:
    """Whether there are so many zeros, and nothing else, that a hole is worth while."""
    return len(data) >= _SHORTEST_HOLE and not data[0] and _ZEROS.startswith(data)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
