"""Findings on what lies where: kinds, owners, modes, links, and names that do not belong there. Pure."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator

from cya.archive.check.tree import Entry, Finding, Inode, Look, Place, Rules, increment_of, path_of, shown
from cya.tree import layout
from cya.tree.levels import Period


def structure(look: Look, rules: Rules) -> Iterator[Finding]:
    """Yield what is wrong with single files and directories. None of these says that a backup cannot be restored."""
    for place in look.places.values():
        yield from _directories(place, rules)
        for name, entry in place.files.items():
            yield from _file(path_of(place.period, name), name, entry, rules)
    yield from _links(look)
    yield from _copies(look, rules)
    for path in look.foreign:
        yield Finding("foreign", path, "is no entry of the ledger; move it away", damage=False)


def _directories(place: Place, rules: Rules) -> Iterator[Finding]:
    top = f"{layout.BACKUPS}/{layout.directory(place.period)}".rstrip("/")
    for name in place.foreign:
        below = "/".join((top, shown(name.encode("utf-8", "surrogateescape"))))
        yield Finding("foreign", below, "is neither files/ nor a period of this root's calendar; move it away")
    for path, entry in ((top, place.entry), (f"{top}/{layout.FILES}", place.files_entry)):
        if entry is None:
            continue
        mode = stat.S_IMODE(entry.mode)
        # The cya of 2012 made the inner ones with the umask of the day; backups/ keeps others out of all of them.
        old = rules.adopted and place.period and not mode & 0o7022 and mode & 0o700 == 0o700
        if mode != 0o700 and not old:
            yield Finding("mode", path, f"has mode {mode:04o} and should have 0700: chmod 700")
        if entry.uid != rules.uid:
            yield Finding("owner", path, f"belongs to user {entry.uid} and should belong to {rules.uid}: chown")


def _file(path: str, name: bytes, entry: Entry, rules: Rules) -> Iterator[Finding]:
    if increment_of(name, rules) is None:
        yield Finding("foreign", path, "is not the name of a committed backup file; move it away")
        return
    if not stat.S_ISREG(entry.mode):
        return  # complete.py tells what is missing in its place
    mode = stat.S_IMODE(entry.mode)
    if mode not in rules.file_modes:
        expected = " or ".join(f"{each:04o}" for each in sorted(rules.file_modes))
        yield Finding("mode", path, f"has mode {mode:04o} and should have {expected}: chmod 440")
    if entry.uid != rules.uid:
        yield Finding(
            "owner", path, f"belongs to user {entry.uid}, who can change it, and should to {rules.uid}: chown"
        )
    elif rules.gids is not None and entry.gid not in rules.gids:
        wanted = " or ".join(map(str, sorted(rules.gids)))
        yield Finding("owner", path, f"belongs to group {entry.gid}, which can read it, and should to {wanted}: chgrp")


def _links(look: Look) -> Iterator[Finding]:
    """More names than are known below the root: somebody else has the file, too. Each file is told once."""
    here: Counter[Inode] = Counter()
    first: dict[Inode, tuple[Period, bytes, Entry]] = {}
    for place in look.places.values():
        for name, entry in place.files.items():
            if stat.S_ISREG(entry.mode):
                here[entry.inode] += 1
                first.setdefault(entry.inode, (place.period, name, entry))
    for inode, (period, name, entry) in first.items():
        known = here[inode] + look.elsewhere.get(inode, 0)
        if entry.nlink != known:
            yield Finding(
                "links",
                path_of(period, name),
                f"has {entry.nlink} names, and {known} are known below this root; "
                "what is done to it elsewhere is done to this backup: look for the others with find -samefile",
            )


def _copies(look: Look, rules: Rules) -> Iterator[Finding]:
    """The same name in two directories should be one file; a copy is sound, but takes its space twice."""
    first: dict[bytes, tuple[Period, Entry]] = {}
    for place in sorted(look.places.values(), key=lambda p: (len(p.period), p.period)):
        for name, entry in place.files.items():
            if not stat.S_ISREG(entry.mode) or increment_of(name, rules) is None:
                continue
            period, other = first.setdefault(name, (place.period, entry))
            if other.inode != entry.inode:
                yield Finding(
                    "copy", path_of(place.period, name), f"is not the same file as in {path_of(period)}", damage=False
                )
