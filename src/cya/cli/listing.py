"""How one path of a backup is shown."""

from __future__ import annotations

import os
import stat
from typing import Any

from cya import clock
from cya.cli import output
from cya.engine.native.reading.recorded import Recorded
from cya.format.times import EARLIEST, LATEST
from cya.printable import printable

TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}
_DAY = 86_400


def name(record: Recorded) -> str:
    """Return the path, fit for a terminal."""
    return printable(os.fsdecode(record.path))


def line(record: Recorded) -> str:
    """Return a line as of ``ls -l``."""
    return f"{attributes(record)} {name(record)}{target(record)}"


def attributes(record: Recorded) -> str:
    """Return the line without the name."""
    owners = f"{_owner(record.uname, record.uid):8} {_owner(record.gname, record.gid):8}"
    return f"{stat.filemode(record.mode)} {owners} {size(record):>10} {time(record):25}"


def target(record: Recorded) -> str:
    """Return an arrow, and where a symbolic link points to; else nothing."""
    return f" -> {printable(os.fsdecode(record.link))}" if record.link else ""


def size(record: Recorded) -> str:
    """Return how large a file is, as far as the backup tells; of a device its numbers; else nothing."""
    kind = stat.S_IFMT(record.mode)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        return f"{record.device[0]}, {record.device[1]}"
    if kind != stat.S_IFREG:
        return ""
    if record.smallest == record.largest:
        return output.size(record.largest)
    if record.largest <= record.block:
        return f"≤{output.size(record.largest)}"
    return f"~{output.size((record.smallest + record.largest) / 2)}"


def time(record: Recorded) -> str:
    """Return the modification time for people; nothing where the format has none."""
    if not has_time(record):
        return ""
    return clock.local(record.mtime) if _is_told(record.mtime) else f"@{record.mtime}"


def has_time(record: Recorded) -> bool:
    """Whether the modification time means anything."""
    return stat.S_IFMT(record.mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFIFO)


def facts(record: Recorded) -> dict[str, Any]:
    """Return all that is recorded, for programs; times are ISO 8601, or seconds where that has no such year."""
    found: dict[str, Any] = {
        "path": os.fsdecode(record.path),
        "type": TYPES[stat.S_IFMT(record.mode)],
        "mode": f"{stat.S_IMODE(record.mode):04o}",
        "uid": record.uid,
        "gid": record.gid,
        "user": os.fsdecode(record.uname) or None,
        "group": os.fsdecode(record.gname) or None,
        "mtime": None,
        "size_min": None,
        "size_max": None,
        "target": os.fsdecode(record.link) or None,
        "device": None,
    }
    if has_time(record):
        found["mtime"] = clock.iso(record.mtime) if _is_told(record.mtime) else record.mtime
    if stat.S_ISREG(record.mode):
        found |= {"size_min": record.smallest, "size_max": record.largest}
    elif stat.S_ISCHR(record.mode) or stat.S_ISBLK(record.mode):
        found["device"] = list(record.device)
    return found


def _owner(by_name: bytes, number: int) -> str:
    return printable(os.fsdecode(by_name)) or str(number)


def _is_told(time: int) -> bool:
    """Whether a time, in any time zone, is of a year that can be written."""
    return EARLIEST + 2 * _DAY <= time <= LATEST - 2 * _DAY
