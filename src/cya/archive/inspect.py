"""CHECK: is what a client handed over one whole increment on top of what it was served? By names and times alone.

Nothing here is decrypted, and nothing that the client says decides where the increment goes.
"""

from __future__ import annotations

import itertools
import os
import stat
from dataclasses import dataclass
from enum import Enum

from cya.archive.records import Served
from cya.errors import BatchRefused
from cya.format import names
from cya.format.collection import FileSet, collect
from cya.transport import marker
from cya.transport.marker import File
from cya.tree import layout, placement
from cya.tree.chain import Increment

_BROKEN = 3600
_MOST_DEBRIS = 1_000
"""Dot files of broken transfers. There is one for each volume that was cut off."""

MOST_MARKER_BYTES = 32 << 20

_LONGEST = 200
"""Characters of a client's that are repeated in a message."""

CLOCK_TOLERANCE = 15 * 60
"""How many seconds the client's clock may be ahead of the archive's."""


@dataclass(frozen=True)
class Batch:
    """An upload that has passed: the increment, its files, their size in bytes, what the marker says (None: none)."""

    increment: Increment
    files: FileSet
    size: int
    promised: dict[bytes, File] | None


def inspect(fd: int, served: Served, now: int, *, marker_wanted: bool, max_files: int) -> Batch:
    """Check a batch directory.

    :param now: the archive's clock, seconds since the epoch.
    :param marker_wanted: whether a batch without ``FINISHED`` is refused.
    :param max_files: so many new files are allowed.
    :raises BatchRefused: with the reason.
    """
    new = _new_names(fd, served, max_files)
    promised = _read_marker(fd, wanted=marker_wanted)
    for name in new:
        read = names.parse_strict(name)
        if read is None or read.kind is names.Kind.STATISTICS:
            raise BatchRefused(f"{_show(name)} is not the name of a Duplicity backup file")
    sets = collect(new).sets
    if len(sets) != 1:
        raise BatchRefused(f"expected the files of one backup, found {len(sets) or 'none'}")
    files = sets[0]
    _check_whole(files)
    if promised is not None and set(promised) != set(new):
        odd = sorted(set(promised) ^ set(new))
        raise BatchRefused(f"the files are not those that {layout.MARKER} names: {_show(odd[0])} is on one side only")
    increment = Increment(files.start, files.end)
    if increment.end < 0:
        raise BatchRefused("it ends before 1970; set the client's clock (NTP)")
    if increment.end > now + CLOCK_TOLERANCE:
        raise BatchRefused(f"it ends {increment.end - now} s in the future; set the client's clock (NTP)")
    try:
        placement.commit(served.serving, increment)
    except ValueError as error:
        raise BatchRefused(str(error)) from error
    return Batch(increment, files, sum(_size(fd, name) for name in files.names), promised)


class Touched(Enum):
    """Who has changed a served directory since."""

    NOT = "it is as it was served; files may have been taken out of it"
    BY_CLIENT = "something has been uploaded into it"
    BY_OTHERS = "the served files are others than those that were put there, as after copying a root"


def touched(fd: int, served: Served, now: int) -> Touched:
    """Tell what has become of a served directory.

    :param now: the archive's clock. A dot file that has grown in the last hour is a transfer that goes on; an older one
        is what a broken one left.
    """
    known = {file.name for file in served.files}
    debris = 0
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.name in known:
                continue
            debris += 1
            if not entry.name.startswith(".") or debris > _MOST_DEBRIS or _changed(entry) > now - _BROKEN:
                return Touched.BY_CLIENT
    try:
        _new_names(fd, served, 0)
    except BatchRefused:
        return Touched.BY_OTHERS
    return Touched.NOT


def last_change(fd: int) -> int:
    """Return when a directory or what is in it last changed, in seconds since the epoch. No client can set that back.

    Of a directory with very many entries only the first are looked at.
    """
    with os.scandir(fd) as entries:
        return max([int(os.fstat(fd).st_ctime), *map(_changed, itertools.islice(entries, _MOST_DEBRIS))])


def _changed(entry: os.DirEntry[str]) -> int:
    try:
        return int(entry.stat(follow_symlinks=False).st_ctime)
    except FileNotFoundError:
        return 0


def _new_names(fd: int, served: Served, max_files: int) -> list[bytes]:
    """Names that the client added. Dot files are what broken transfers leave, and are dropped."""
    known = {file.name.encode(): file.ino for file in served.files}
    device = os.fstat(fd).st_dev
    new: list[bytes] = []
    debris = 0
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if name.startswith(b".") and not entry.is_dir(follow_symlinks=False):
                debris += 1
                if debris > _MOST_DEBRIS:
                    raise BatchRefused(f"more than {_MOST_DEBRIS} dot files")
                continue
            if name == layout.MARKER.encode():
                continue
            if name in known:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # deleted just now, in a next that is still the client's
                    continue
                if (found.st_dev, found.st_ino) != (device, known[name]):
                    raise BatchRefused(f"{_show(name)} was served, and something else has been put in its place")
                continue
            new.append(name)
            if len(new) > max_files:
                raise BatchRefused(f"more than {max_files} files (max_files in cya.toml)")
    return new


def _read_marker(fd: int, *, wanted: bool) -> dict[bytes, File] | None:
    try:
        opened = os.open(layout.MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    except FileNotFoundError:
        if wanted:
            raise BatchRefused(f"{layout.MARKER} is missing") from None
        return None
    except OSError as error:
        raise BatchRefused(f"{layout.MARKER} cannot be read: {error.strerror}") from error
    try:
        with open(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise ValueError("it is not a plain file")
            data = file.read(MOST_MARKER_BYTES + 1)
        if len(data) > MOST_MARKER_BYTES:
            raise ValueError("it is too long")
        return {file.name.encode(): file for file in marker.decode(data).files}
    except (OSError, ValueError) as error:
        # The client's own words may be in it: of any length, with escapes for the administrator's terminal.
        reason = ascii(str(error)[:_LONGEST])[1:-1]
        raise BatchRefused(f"{layout.MARKER} is malformed: {reason}") from error


def _size(fd: int, name: bytes) -> int:
    return os.stat(name, dir_fd=fd, follow_symlinks=False).st_size


def _check_whole(files: FileSet) -> None:
    for kind, name in (("manifest", files.manifest), ("sigtar", files.sigtar)):
        if name is None:
            raise BatchRefused(f"its {kind} is missing")
    if not files.volumes:
        raise BatchRefused("it has no volume")
    if missing := files.missing_volumes:
        raise BatchRefused(f"volume {missing[0][0]} of {max(files.volumes)} is missing")
    if not files.is_complete:
        raise BatchRefused("it holds a volume, sigtar or manifest twice, in two forms")


def _show(name: bytes) -> str:
    return ascii(os.fsdecode(name[:_LONGEST]))
