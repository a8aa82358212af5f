"""CHECK: is what a client handed over one whole increment on top of what it was served? By names and times alone.

Nothing here is decrypted, and nothing that the client says decides where the increment goes.
"""

from __future__ import annotations

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

MOST_FILES = 100_000
"""More files than that are no backup: at 200 MiB a volume it would be 20 TB in one increment."""

MOST_MARKER_BYTES = 32 << 20

CLOCK_TOLERANCE = 15 * 60
"""How many seconds the client's clock may be ahead of the archive's."""


@dataclass(frozen=True)
class Batch:
    """An upload that has passed: the increment, its files, and what the marker says of them (None: no marker)."""

    increment: Increment
    files: FileSet
    promised: dict[bytes, File] | None


def inspect(fd: int, served: Served, now: int, *, marker_wanted: bool) -> Batch:
    """Check a batch directory.

    :param now: the archive's clock, seconds since the epoch.
    :param marker_wanted: whether a batch without ``FINISHED`` is refused.
    :raises BatchRefused: with the reason.
    """
    new = _new_names(fd, served)
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
    if increment.end > now + CLOCK_TOLERANCE:
        raise BatchRefused(f"it ends {increment.end - now} s in the future; set the client's clock (NTP)")
    try:
        placement.commit(served.serving, increment)
    except ValueError as error:
        raise BatchRefused(str(error)) from error
    return Batch(increment, files, promised)


class Touched(Enum):
    """Who has changed a served directory since."""

    NOT = "it is as it was served; files may have been taken out of it"
    BY_CLIENT = "something has been uploaded into it"
    BY_OTHERS = "the served files are others than those that were put there, as after copying a root"


def touched(fd: int, served: Served) -> Touched:
    """Tell what has become of a served directory."""
    known = {file.name for file in served.files}
    if any(name not in known and not name.startswith(".") for name in os.listdir(fd)):
        return Touched.BY_CLIENT
    try:
        _new_names(fd, served)
    except BatchRefused:
        return Touched.BY_OTHERS
    return Touched.NOT


def _new_names(fd: int, served: Served) -> list[bytes]:
    """Names that the client added. Dot files are what broken transfers leave, and are dropped."""
    known = {file.name.encode(): file.ino for file in served.files}
    device = os.fstat(fd).st_dev
    new: list[bytes] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if name.startswith(b".") and not entry.is_dir(follow_symlinks=False):
                continue
            if name == layout.MARKER.encode():
                continue
            if name in known:
                found = entry.stat(follow_symlinks=False)
                if (found.st_dev, found.st_ino) != (device, known[name]):
                    raise BatchRefused(f"{_show(name)} was served, and something else has been put in its place")
                continue
            new.append(name)
            if len(new) > MOST_FILES:
                raise BatchRefused(f"more than {MOST_FILES} files")
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
        raise BatchRefused(f"{layout.MARKER} is malformed: {error}") from error


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
    return ascii(os.fsdecode(name[:200]))
