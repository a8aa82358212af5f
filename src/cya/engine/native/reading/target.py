"""Makes files below the destination, and never anywhere else.

Every directory on the way is opened without following a symbolic link, and everything is made by its name in its
directory; so whatever an archive holds, and whoever changes the destination meanwhile, nothing is written outside.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum

from cya.engine.native.reading.owners import Owners
from cya.format.tar_reader import Member

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_OPEN = 64
"""Directories. What lies deeper is reached from the top again whenever it is needed."""
_SPECIAL = stat.S_ISUID | stat.S_ISGID
TEMPORARY = b".cya-restore-"

FATAL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE))
"""Errors that no other file would be spared."""


_PLAINER_WORDS = {
    errno.ENOTEMPTY: "is a directory here, with something in it",
    errno.EEXIST: "something is there already",
    errno.ENOTDIR: "something on the way to it is no directory",
    errno.EPERM: "not permitted; only root may make it" if os.geteuid() else "not permitted",
}


def told(error: OSError) -> str:
    """Return why something could not be made."""
    return _PLAINER_WORDS.get(error.errno or 0) or (error.strerror or str(error)).lower()


class Existing(IntEnum):
    """What happens to what is at the destination already."""

    NOTHING = 0
    """There is nothing: what has a name is in the way."""
    KEEP = 1
    REPLACE = 2


class Kept(OSError):
    """Something is there already, and stays."""


class Target:
    """The destination.

    :ivar kept: number of things that were there and stay.
    """

    def __init__(self, root: int, existing: Existing, owners: Owners, own: str) -> None:
        """Take note of where things go.

        :param root: descriptor of the destination.
        :param own: a word for the names of temporary files, of this process only.
        """
        self._root, self._existing, self.owners = root, existing, owners
        self._temporary = TEMPORARY + own.encode() + b"-new"
        self._way: list[tuple[bytes, int]] = []
        self.made: Callable[[bytes], object] = lambda key: None
        self.kept = 0

    def directory(self, key: bytes) -> None:
        """Make a directory, which gets its attributes later."""
        if key:
            self._enter(key.split(b"\0"))

    @contextmanager
    def file(self, key: bytes, member: Member) -> Iterator[int]:
        """Make a regular file: yield a descriptor to write into; when the block ends well the file has its place.

        :raises Kept: when something is there that stays.
        :raises OSError: when it cannot be made.
        """
        parent, name = self._parent(key)
        careful = self._existing is not Existing.NOTHING
        if careful:
            self._check_kept(parent, name)
        made = self._temporary if careful else name
        fd = self._created(parent, made)
        try:
            try:
                yield fd
                self.dress(fd, member)
            finally:
                os.close(fd)
            if careful:
                self._take_place(parent, made, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(made, dir_fd=parent)
            raise

    def place(self, source: str, directory: int, key: bytes, member: Member) -> None:
        """Give a regular file that is already written its attributes and its place.

        :param source: its name in the other directory, on the same file system if possible.
        :raises Kept, OSError: as :meth:`file`.
        """
        parent, name = self._parent(key)
        self._check_kept(parent, name)
        fd = os.open(source, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            self.dress(fd, member)
        finally:
            os.close(fd)
        try:
            self._take_place(parent, os.fsencode(source), name, directory)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, directory, key, member)

    def other(self, key: bytes, member: Member) -> None:
        """Make a symbolic link, a FIFO or a device.

        :raises Kept, OSError: as :meth:`file`.
        """
        parent, name = self._parent(key)
        careful = self._existing is not Existing.NOTHING
        if careful:
            self._check_kept(parent, name)
        made = self._temporary if careful else name
        if careful:
            with suppress(FileNotFoundError):
                os.unlink(made, dir_fd=parent)
        _make(made, parent, member)
        try:
            self.owners.set_of_name(made, parent, member)
            os.utime(made, ns=_times(member), dir_fd=parent, follow_symlinks=False)
            if careful:
                self._take_place(parent, made, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(made, dir_fd=parent)
            raise

    def dress(self, fd: int, member: Member) -> None:
        """Give what is open its owner, mode and times."""
        owned = self.owners.set_of(fd, member)
        os.fchmod(fd, member.mode if owned else member.mode & ~_SPECIAL)
        os.utime(fd, ns=_times(member))

    def dress_directory(self, key: bytes, member: Member) -> None:
        """Give a directory its attributes.

        :raises OSError: when it is not there, or they cannot be given.
        """
        self._enter_old(key.split(b"\0"))
        self.dress(self._way[-1][1], member)

    def default_directory(self, key: bytes, mode: int) -> None:
        """Give a directory of which nothing is known a mode."""
        self._enter_old(key.split(b"\0"))
        os.fchmod(self._way[-1][1], mode)

    def exists(self, key: bytes) -> bool:
        """Whether there is anything at a path; no link on the way is followed."""
        *way, name = key.split(b"\0")
        try:
            self._enter_old(way)
            os.stat(name, dir_fd=self._way[-1][1] if way else self._root, follow_symlinks=False)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close all directories."""
        self._leave(0)

    def _parent(self, key: bytes) -> tuple[int, bytes]:
        *way, name = key.split(b"\0")
        return (self._enter(way) if way else self._root), name

    def _enter(self, way: list[bytes]) -> int:
        """Open a directory, and make it and those above it where they are missing."""
        common = self._common(way)
        here = self._way[common - 1][1] if common else self._root
        for number in range(common, len(way)):
            name = way[number]
            try:
                here = os.open(name, _DIRECTORY, dir_fd=here)
            except FileNotFoundError:
                here = self._new_directory(name, here, way[: number + 1])
            except NotADirectoryError:
                if self._existing is not Existing.REPLACE:
                    raise
                os.unlink(name, dir_fd=here)
                here = self._new_directory(name, here, way[: number + 1])
            self._push(name, here)
        return here

    def _new_directory(self, name: bytes, parent: int, way: list[bytes]) -> int:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            self.made(b"\0".join(way))
        return os.open(name, _DIRECTORY, dir_fd=parent)

    def _enter_old(self, way: list[bytes]) -> None:
        common = self._common(way)
        here = self._way[common - 1][1] if common else self._root
        for name in way[common:]:
            here = os.open(name, _DIRECTORY, dir_fd=here)
            self._push(name, here)

    def _common(self, way: list[bytes]) -> int:
        """Leave directories that are not on a way; return how many are."""
        common = 0
        for (name, _), wanted in zip(self._way, way, strict=False):
            if name != wanted:
                break
            common += 1
        self._leave(common)
        if common and self._way[-1][1] < 0:
            self._leave(0)
            return 0
        return common

    def _push(self, name: bytes, fd: int) -> None:
        self._way.append((name, fd))
        old = len(self._way) - 1 - _MOST_OPEN
        if old >= 0:
            os.close(self._way[old][1])
            self._way[old] = (self._way[old][0], -1)

    def _leave(self, depth: int) -> None:
        while len(self._way) > depth:
            _, fd = self._way.pop()
            if fd >= 0:
                os.close(fd)

    def _created(self, parent: int, name: bytes) -> int:
        try:
            return os.open(name, _NEW, 0o600, dir_fd=parent)
        except FileExistsError:
            if name != self._temporary:
                raise
            os.unlink(name, dir_fd=parent)
            return os.open(name, _NEW, 0o600, dir_fd=parent)

    def _check_kept(self, parent: int, name: bytes) -> None:
        if self._existing is Existing.KEEP:
            with suppress(FileNotFoundError):
                os.stat(name, dir_fd=parent, follow_symlinks=False)
                self.kept += 1
                raise Kept(errno.EEXIST, "something is there already")

    def _take_place(self, parent: int, made: bytes, name: bytes, directory: int | None = None) -> None:
        source = parent if directory is None else directory
        if self._existing is Existing.NOTHING:
            _rename_new(made, source, name, parent)
            return
        try:
            os.rename(made, name, src_dir_fd=source, dst_dir_fd=parent)
        except IsADirectoryError:
            if self._existing is not Existing.REPLACE:
                raise
            os.rmdir(name, dir_fd=parent)  # one with something in it is never removed
            os.rename(made, name, src_dir_fd=source, dst_dir_fd=parent)

    def _copy(self, source: str, directory: int, key: bytes, member: Member) -> None:
        """Bring a file to another file system, which is mounted below the destination."""
        reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        with open(reading, "rb") as file, self.file(key, member) as fd:
            while data := file.read(1 << 20):
                write_all(fd, data)
        os.unlink(source, dir_fd=directory)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _rename_new(made: bytes, source: int, name: bytes, parent: int) -> None:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(made, name, src_dir_fd=source, dst_dir_fd=parent)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def _make(name: bytes, parent: int, member: Member) -> None:
    """Make it with its mode at once: a later chmod would follow what somebody might have put in its place."""
    former = os.umask(0)
    try:
        if member.kind == b"2":
            os.symlink(member.linkname, name, dir_fd=parent)
        elif member.kind == b"6":
            os.mkfifo(name, member.mode, dir_fd=parent)
        elif member.kind in (b"3", b"4"):
            kind = stat.S_IFCHR if member.kind == b"3" else stat.S_IFBLK
            os.mknod(name, kind | member.mode, os.makedev(member.devmajor, member.devminor), dir_fd=parent)
        else:
            raise OSError(errno.EINVAL, f"is of an unknown type {member.kind!r}")
    finally:
        os.umask(former)


def _times(member: Member) -> tuple[int, int]:
    return time.time_ns(), member.mtime * 1_000_000_000
