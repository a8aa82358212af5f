"""Tells in what two trees differ: by rsync, and beside it by code of its own for what rsync does not look at.

Nothing here is cya's: what compares must not have the faults of what is compared.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from tests.awkward.setting import LETTERS, flags

BLOCK = 4096
_LONGEST = 2000
"""Below paths of so many bytes, relative to the tree, rsync does not look."""
_FLAGS = sum(LETTERS.values())


@dataclass(frozen=True)
class Seen:
    """What a path is. The fields are the words that differences are told with.

    :ivar content: a digest, whatever is a hole.
    :ivar extents: of a file: begin and end of what is no hole, by SEEK_DATA.
    :ivar names: all paths in the tree with its inode.
    """

    type: str
    mode: str
    owner: tuple[int, int]
    device: tuple[int, int]
    time: int
    size: int
    content: str
    target: bytes
    extents: tuple[tuple[int, int], ...]
    flags: str
    xattrs: Mapping[str, bytes]
    names: frozenset[bytes]


def differences(source: Path, other: Path, *, without: Collection[bytes] = ()) -> list[str]:
    """Return lines that say what differs: the word of the kind, the path, and how; of rsync as it prints them.

    :param without: paths that neither looks at.
    """
    own = by_own_code(seen(source, without=without), seen(other, without=without))
    return [*_by_rsync(source, other, without), *own]


def by_own_code(source: Mapping[bytes, Seen], other: Mapping[bytes, Seen]) -> Iterator[str]:
    """Yield a line for each difference."""
    for path in sorted({*source, *other}):
        if path not in other:
            yield f"missing: {path!r} ({source[path].type})"
        elif path not in source:
            yield f"not in the source: {path!r} ({other[path].type})"
        else:
            for field in fields(Seen):
                was, now = getattr(source[path], field.name), getattr(other[path], field.name)
                if was != now:
                    yield from _told(field.name, path, was, now)


def _told(name: str, path: bytes, was: object, now: object) -> Iterator[str]:
    if name != "xattrs":
        yield f"{name}: {path!r}: {was!r:.200} became {now!r:.200}"
        return
    assert isinstance(was, dict)
    assert isinstance(now, dict)
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            yield f"xattr {key!r}: {path!r}: {was.get(key)!r:.80} became {now.get(key)!r:.80}"


def seen(place: Path, *, without: Collection[bytes] = ()) -> dict[bytes, Seen]:
    """Return what is in a tree, by paths relative to it; itself is ``.``. They may be longer than PATH_MAX.

    :param without: paths that are left out, also as names of a linked file.
    """
    subprocess.run(["sync", "--file-system", place], check=True)  # before it, what is a hole is not settled
    found: dict[bytes, tuple[os.stat_result, Seen]] = {}
    top = os.fsencode(place)
    for folder, folders, files, fd in os.fwalk(top):
        for name in (*files, *folders) if folder != top else (b".", *files, *folders):
            path = (folder + b"/" + name)[len(top) + 1 :]
            if path not in without:
                found[path] = os.lstat(name, dir_fd=fd), _seen(fd, name)
    names: dict[tuple[int, int], set[bytes]] = {}
    for path, (status, _) in found.items():
        names.setdefault((status.st_dev, status.st_ino), set()).add(path)
    return {
        path: Seen(**{**each.__dict__, "names": frozenset(names[status.st_dev, status.st_ino])})
        for path, (status, each) in found.items()
    }


def _seen(fd: int, name: bytes) -> Seen:
    status, here = os.lstat(name, dir_fd=fd), b"/proc/self/fd/%d/" % fd + name
    kind, is_file = stat.S_IFMT(status.st_mode), stat.S_ISREG(status.st_mode)
    extents, content = _content(name, fd, status.st_size) if is_file else ((), "")
    has_flags = is_file or stat.S_ISDIR(status.st_mode)
    value = flags(name, fd) & _FLAGS if has_flags else 0
    return Seen(
        type=stat.filemode(kind)[0],
        mode=f"{stat.S_IMODE(status.st_mode):04o}",
        owner=(status.st_uid, status.st_gid),
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
        time=status.st_mtime_ns,
        size=status.st_size if is_file else 0,
        content=content,
        target=os.readlink(name, dir_fd=fd) if stat.S_ISLNK(status.st_mode) else b"",
        extents=extents,
        flags="".join(letter for letter, bit in LETTERS.items() if value & bit),
        xattrs={
            key: os.getxattr(here, key, follow_symlinks=False) for key in os.listxattr(here, follow_symlinks=False)
        },
        names=frozenset(),
    )


def _content(name: bytes, dir_fd: int, size: int) -> tuple[tuple[tuple[int, int], ...], str]:
    """Extents and a digest; blocks of zeros are left out of it, as holes are."""
    digest, extents = hashlib.blake2b(digest_size=16), []
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    try:
        end = 0
        while (begin := _seek(fd, end, os.SEEK_DATA)) is not None:
            end = _seek(fd, begin, os.SEEK_HOLE) or size
            extents.append((begin, end))
            for offset in range(begin // BLOCK * BLOCK, end, BLOCK):
                block = os.pread(fd, BLOCK, offset)
                if block.strip(b"\0"):
                    digest.update(b"%d:" % offset + block)
    finally:
        os.close(fd)
    return tuple(extents), digest.hexdigest()


def _seek(fd: int, offset: int, whence: int) -> int | None:
    try:
        return os.lseek(fd, offset, whence)
    except OSError:  # ENXIO: nothing behind it
        return None


def _by_rsync(source: Path, other: Path, without: Collection[bytes]) -> list[str]:
    """What rsync would do, with a line of its own when it fails; it is given a plain environment."""
    left_out = {*_too_deep(source), *_too_deep(other), *(path for path in without if len(path) < _LONGEST)}
    excluded = [b"--exclude=" + _pattern(path) for path in left_out]
    ran = subprocess.run(
        ["rsync", "-aHAXSn", "--checksum", "--delete", "--itemize-changes", *excluded, f"{source}/", f"{other}/"],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    lines = [f"rsync: {line!r}" for line in (ran.stdout + ran.stderr).splitlines()]
    return lines + [f"rsync: exit {ran.returncode}"] * (ran.returncode != 0)


def _too_deep(place: Path) -> Iterator[bytes]:
    top = os.fsencode(place)
    for folder, folders, _, _ in os.fwalk(top):
        for name in list(folders):
            path = (folder + b"/" + name)[len(top) + 1 :]
            if len(path) > _LONGEST:
                folders.remove(name)
                yield path


def _pattern(path: bytes) -> bytes:
    """Anchored at the top; a backslash stands for itself unless there is something else to be escaped."""
    if not any(byte in path for byte in b"*?["):
        return b"/" + path
    return b"/" + b"".join(b"\\" + bytes([byte]) if byte in b"*?[\\" else bytes([byte]) for byte in path)
