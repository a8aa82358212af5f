"""What stock duplicity cannot keep: ``.dupext`` is put into the source while it runs, and always taken out again.

Of a file with several names, one is stored: the others are excluded. It stays the same one from backup to backup, as
long as it is there; which it was stands in the engine's own directory.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
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
    """

    options: list[str] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)


@contextmanager
def placed(job: BackupJob, lines: bytes, private: Private) -> Iterator[Placed]:
    """Put ``.dupext`` into the source, until the block ends.

    :param lines: the selection's patterns, as they were checked.
    :raises EngineError: when something that is not ours has its place.
    """
    remove_left(job.source)
    if not job.metadata or job.dry_run:
        yield Placed()
        return
    made = Placed()
    files = _files(job, lines, private, made)
    place = job.source / NAME
    top = job.source.stat()
    try:
        try:
            _write(place, files, private.cache / "dupext.json")
            _put_back(job.source, top)
            made.options.insert(0, f"--include={selection.escape(str(place))}")
        except OSError as error:
            _remove(place)
            made.options.clear()
            made.lost.append(Lost(NAME, f"hard links, ACLs and all else that it holds are not kept: {error.strerror}"))
        yield made
    finally:
        _remove(place)
        _put_back(job.source, top)


def remove_left(source: Path) -> None:
    """Remove what a killed run left in the source.

    :raises EngineError: when something that is not ours has its place.
    """
    place = source / NAME
    if not os.path.lexists(place):
        return
    with suppress(OSError):
        if not place.is_symlink() and (place / "format.txt").read_bytes().startswith(_MARK):
            top = source.stat()
            _remove(place)
            _put_back(source, top)
            return
    if place.is_dir() and not place.is_symlink() and not os.listdir(place):
        _remove(place)
        return
    raise EngineError(
        f"{place}: is in the way of what is kept beside a backup, and was not made by this cya: move it away, or use "
        "the engine native, which writes nothing into the source"
    )


def _files(job: BackupJob, lines: bytes, private: Private, made: Placed) -> Mapping[bytes, Path | bytes]:
    """Walk over the source; return the files of ``.dupext``."""
    system = Gathered(job.source) if job.system else None
    temporary = private.temporary / "dupext"
    temporary.mkdir(0o700)
    side, links = SideFiles(temporary), LinkSets()
    names = private.cache / "stored-names"
    before = _read(names)
    sizes: list[tuple[int, Found]] = []
    root = os.open(job.source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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
        os.close(root)
    sizes.sort(key=lambda each: (each[0], each[1].key))
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


def _write(place: Path, files: Mapping[bytes, Path | bytes], known: Path) -> None:
    """Write the files; one with the content that it had last time gets the time that it had.

    :param known: a file for hashes and times.
    """
    try:
        before = json.loads(known.read_bytes())
    except (OSError, ValueError):
        before = {}
    now: dict[str, tuple[str, int]] = {}
    place.mkdir(0o700)
    for name, content in files.items():
        path = place / os.fsdecode(name)
        path.parent.mkdir(0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with open(content, "rb") as made:
                    shutil.copyfileobj(made, file, 1 << 20)
        with open(path, "rb") as written:
            digest = file_digest(written, "sha256").hexdigest()
        old = before.get(path.name)
        stamp = old[1] if old is not None and old[0] == digest else int(time.time())
        now[path.name] = digest, stamp
        os.utime(path, (stamp, stamp))
    for directory in {place, *(place / os.fsdecode(name) for name in map(os.path.dirname, files))}:
        os.utime(directory, (0, 0))
    known.write_text(json.dumps(now))


def _remove(place: Path) -> None:
    if os.path.lexists(place):
        shutil.rmtree(place)


def _put_back(source: Path, top: os.stat_result) -> None:
    """Give the source the time that it had: it is a part of the backup."""
    with suppress(OSError):
        os.utime(source, ns=(top.st_atime_ns, top.st_mtime_ns))
