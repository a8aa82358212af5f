"""What stock duplicity cannot keep: ``.dupext`` is put into the source while it runs, and always taken out again.

Of a file with several names, one is stored: the others are excluded. It stays the same one from backup to backup, as
long as it is there; which it was stands in the engine's own directory.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path

from cya.engine import selection
from cya.engine.native.scan import Found, Scan
from cya.engine.private import Private
from cya.engine.protocol import BackupJob, Lost
from cya.errors import EngineError
from cya.format.key import path_of
from cya.metadata.gathered import Gathered
from cya.metadata.link_sets import NEW, STORED, LinkSets, is_linked
from cya.metadata.look import look
from cya.metadata.side_files import DIRECTORY, SideFiles, is_ours

NAME = os.fsdecode(DIRECTORY)
DIRECTORY_ONLY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""For directories that may be swapped for symbolic links."""
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS_WRITE = 0o022
_MARK = b"cya dupext "
_PATH_MAX = 4096
"""Bytes of a path that duplicity cannot open any more: a file is stored under another name, if it has one."""
_MOST_EXCLUDED = 500
"""Names: duplicity compares each path of the source with each of them. The largest files are worth most."""


@dataclass
class Placed:
    """What has been put into the source.

    :ivar options: of duplicity: what is to be in the backup, and what not.
    :ivar lost: what is not kept as it should be.
    :ivar stored: keys of files with several names that are stored, their inodes, and their other names.
    """

    options: list[str] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    stored: list[tuple[bytes, int, tuple[bytes, ...]]] = field(default_factory=list)


@contextmanager
def placed(job: BackupJob, lines: bytes, private: Private) -> Iterator[Placed]:
    """Put ``.dupext`` into the source, until the block ends.

    Whoever owns the source can rename what is in it, at any time: so all is done by descriptors, and nothing by path.

    :param lines: the selection's patterns, as they were checked.
    :raises EngineError: when something that is not ours has its place, or got it while duplicity ran.
    """
    if not job.dry_run:
        remove_left(job.source, refuse=True)
    if not job.metadata or job.dry_run:
        yield Placed()
        return
    shown = job.source / NAME
    made = Placed()
    root = os.open(job.source, DIRECTORY_ONLY)
    place, written = -1, None
    try:
        files = _files(root, job, lines, private, made)
        top = os.fstat(root)
        try:
            try:
                place = _put(root, files, private.cache / "dupext.json")
                written = os.fstat(place)
                _put_back(root, top)
                made.options.insert(0, f"--include={selection.escape(str(shown))}")
            except OSError as error:
                # What somebody else has put there would be believed by every restore.
                made.options[:] = [f"--exclude={selection.escape(str(shown))}"]
                why = error.strerror or str(error)
                made.lost.append(Lost(NAME, f"hard links, ACLs and all else that it holds are not kept: {why}"))
            yield made
            made.lost += _replaced(root, made.stored)
            if written is not None and not _is_as_it_was(root, place, written):
                raise EngineError(
                    f"{shown}: somebody renamed or changed it while duplicity read it, so what the backup has of it "
                    "may not be what cya wrote; find out who does that, and run again"
                )
        finally:
            if place >= 0:
                _remove(root, place)
                os.close(place)
            _put_back(root, top)
    finally:
        os.close(root)


def _replaced(root: int, stored: Iterable[tuple[bytes, int, tuple[bytes, ...]]]) -> Iterator[Lost]:
    """Yield the names of files that duplicity cannot have stored: another one has taken the stored name meanwhile."""
    for key, inode, others in stored:
        path = path_of(key)
        try:
            same = os.stat(path, dir_fd=root, follow_symlinks=False).st_ino == inode
        except OSError:
            same = False
        if not same:
            why = f"is another name of {os.fsdecode(path)}, which was replaced while the backup ran: run it again"
            yield from (Lost(os.fsdecode(path_of(other)), why) for other in others)


def remove_left(source: Path, *, refuse: bool = False) -> None:
    """Remove what a killed run of this user left in the source.

    :param refuse: to go on when something that is not ours has its place; else that is left alone.
    :raises EngineError: when it is refused.
    """
    try:
        root = os.open(source, DIRECTORY_ONLY)
    except OSError:
        return  # told by those who read it
    try:
        if not _is_there(root):
            return
        top = os.fstat(root)
        if not _is_removed(root) and refuse:
            with suppress(OSError):
                os.rmdir(NAME, dir_fd=root)  # one with nothing in it is nobody's loss
        if refuse and _is_there(root):
            raise EngineError(
                f"{source / NAME}: is in the way of what is kept beside a backup, and was not made by this cya: move "
                "it away, or use the engine native, which writes nothing into the source"
            )
        if not _is_there(root):
            _put_back(root, top)
    finally:
        os.close(root)


def is_ours_in(place: int) -> bool:
    """Whether an open directory was made by a run of this user, and nobody else can change what is in it."""
    there = os.fstat(place)
    if there.st_uid != os.geteuid() or there.st_mode & _OTHERS_WRITE:
        return False
    try:
        fd = os.open("format.txt", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return False
        begun = os.read(fd, len(_MARK))
        # It is written first: one that a run was killed at has nothing beside it.
        return begun == _MARK or (_MARK.startswith(begun) and os.listdir(place) == ["format.txt"])
    except OSError:
        return False
    finally:
        os.close(fd)


def _is_there(root: int) -> bool:
    try:
        os.stat(NAME, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_removed(root: int) -> bool:
    """Remove it if it is ours, or an empty one of this user's."""
    try:
        place = os.open(NAME, DIRECTORY_ONLY, dir_fd=root)
    except OSError:
        return False
    try:
        if not is_ours_in(place) and (os.fstat(place).st_uid != os.geteuid() or os.listdir(place)):
            return False
        _remove(root, place)
    finally:
        os.close(place)
    return True


def _put(root: int, files: Mapping[bytes, Path | bytes], known: Path) -> int:
    """Make it in the open source; return its descriptor.

    :raises OSError: when it cannot be; then nothing of it is left.
    """
    os.mkdir(NAME, 0o700, dir_fd=root)
    place = -1
    try:
        place = os.open(NAME, DIRECTORY_ONLY, dir_fd=root)
        _check_new(place)
    except BaseException:
        if place >= 0:
            os.close(place)
        with suppress(OSError):  # not ours: it goes only if nothing is in it
            os.rmdir(NAME, dir_fd=root)
        raise
    try:
        _write(place, files, known)
    except BaseException:
        _remove(root, place)
        os.close(place)
        raise
    return place


def _check_new(place: int) -> None:
    """Look whether this is what was made: another directory may have been renamed to its name.

    :raises OSError: when it is not.
    """
    there = os.fstat(place)
    if there.st_uid != os.geteuid() or there.st_mode & 0o777 != 0o700 or os.listdir(place):
        raise OSError(errno.EBUSY, "somebody else changes what is made there, or whose it is")


def _is_as_it_was(root: int, place: int, written: os.stat_result) -> bool:
    """Whether it had its name all the time: each renaming changes the change time."""
    try:
        there = os.stat(NAME, dir_fd=root, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(there, written) and os.fstat(place).st_ctime_ns == written.st_ctime_ns


def _files(root: int, job: BackupJob, lines: bytes, private: Private, made: Placed) -> Mapping[bytes, Path | bytes]:
    """Walk over the source; return the files of ``.dupext``."""
    system = (job.gathered or Gathered(job.source)) if job.system else None
    temporary = private.temporary / "dupext"
    temporary.mkdir(0o700)
    side, links = SideFiles(temporary), LinkSets()
    names = private.cache / "stored-names"
    before = _read(names)
    sizes: list[tuple[int, Found]] = []
    try:
        for item in Scan(root, job.source, job.selection, lines, look=look):
            if not isinstance(item, Found) or is_ours(item.key):
                continue  # what cannot be read is told by duplicity
            side.add(item.key, item.stat, item.extra)
            if item.extra is not None and item.extra.reason:
                made.lost.append(Lost(os.fsdecode(path_of(item.key)), item.extra.reason))
            if is_linked(item.stat):
                unread = len(os.fsencode(job.source)) + len(item.key) >= _PATH_MAX
                links.add(item.key, item.stat, STORED if item.key in before else NEW + unread)
                sizes.append((-item.stat.st_size, item))
        files = side.finish(links.records(), system.files() if system is not None else {})
    finally:
        side.close()
    sizes.sort(key=lambda each: (each[0], each[1].key))
    made.stored = [
        (item.key, item.stat.st_ino, links.others(item.key, item.stat))
        for _, item in sizes
        if links.is_stored(item.key, item.stat)
    ]
    others = [item.key for _, item in sizes if not links.is_stored(item.key, item.stat)]
    names.write_bytes(b"/".join(item.key for _, item in sizes if links.is_stored(item.key, item.stat)))
    excluded = [pattern for key in others[:_MOST_EXCLUDED] if (pattern := _pattern(job.source, key)) is not None]
    made.options += [f"--exclude={pattern}" for pattern in excluded]
    return files


def _pattern(source: Path, key: bytes) -> str | None:
    """Return what excludes a path; None if that cannot be said: it is stored, which does no harm."""
    try:
        return selection.escape(str(source / path_of(key).decode()))
    except UnicodeDecodeError:
        return None


def _read(names: Path) -> frozenset[bytes]:
    """Read keys; no key has a slash in it."""
    try:
        return frozenset(names.read_bytes().split(b"/"))
    except OSError:
        return frozenset()


def _write(place: int, files: Mapping[bytes, Path | bytes], known: Path) -> None:
    """Write the files; one with the content that it had last time gets the time that it had.

    :param place: an open directory that nobody else can write to, so what is in it may be reached by name.
    :param known: a file for hashes and times.
    """
    try:
        before = json.loads(known.read_bytes())
    except (OSError, ValueError):
        before = {}
    now: dict[str, tuple[str, int]] = {}
    directories: list[bytes] = []
    for path, content in files.items():
        above = os.path.dirname(path)
        if above and above not in directories:  # not before format.txt, which says whose all this is
            os.mkdir(above, 0o700, dir_fd=place)
            directories.append(above)
        name = os.fsdecode(os.path.basename(path))
        with open(os.open(path, _NEW, 0o600, dir_fd=place), "w+b") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with open(content, "rb") as made:
                    shutil.copyfileobj(made, file, 1 << 20)
            file.flush()
            file.seek(0)
            digest = file_digest(file, "sha256").hexdigest()
            old = before.get(name)
            # Duplicity tells a change by the second, and there may be two backups within one.
            stamp = max(int(time.time()), old[1] + 1) if old is not None else int(time.time())
            if old is not None and old[0] == digest:
                stamp = old[1]
            now[name] = digest, stamp
            os.utime(file.fileno(), (stamp, stamp))
    for directory in directories:
        os.utime(directory, (0, 0), dir_fd=place, follow_symlinks=False)
    os.utime(place, (0, 0))
    known.write_text(json.dumps(now))


def _remove(root: int, place: int) -> None:
    """Remove an open directory of ours: what is in it wherever it is by now, itself if it has its name still.

    What cannot be removed is left to the next run.
    """
    with suppress(OSError):
        os.lseek(place, 0, os.SEEK_SET)  # btrfs lists nothing that was made after the directory was opened
        for name in os.listdir(place):
            try:
                os.unlink(name, dir_fd=place)
            except IsADirectoryError:
                shutil.rmtree(name, dir_fd=place)
        if os.path.samestat(os.fstat(place), os.stat(NAME, dir_fd=root, follow_symlinks=False)):
            os.rmdir(NAME, dir_fd=root)


def _put_back(root: int, top: os.stat_result) -> None:
    """Give the source the time that it had: it is a part of the backup."""
    with suppress(OSError):
        os.utime(root, ns=(top.st_atime_ns, top.st_mtime_ns))
