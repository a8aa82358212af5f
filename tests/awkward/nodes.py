"""Types, modes, owners, and times."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from tests.awkward.dating import SECOND
from tests.awkward.setting import date, directory, node, set_xattrs, write

TIMES = {
    b"1901": -(2**31) * SECOND,
    b"1919": -1_600_000_000 * SECOND + 1,
    b"1.5 s before": -SECOND * 3 // 2,
    b"1 ns before": -1,
    b"0": 0,
    b"1 ns": 1,
    b"999999999 ns": SECOND - 1,
    b"1 s": SECOND,
    b"2001 1 ns": SECOND * SECOND + 1,
    b"2001 999999999 ns": SECOND * SECOND + SECOND - 1,
    b"2001": SECOND * SECOND,
    b"2038": 2**31 * SECOND + 100,
    b"2100": 4_102_444_800 * SECOND + 123_456_789,
    b"2300": 10_413_792_000 * SECOND + 7,
}
"""Nanoseconds since 1970, by what they are called."""
_MODES = (0, 0o200, 0o444, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777)
_OWNERS = ((123456, 654321), (3_000_000_000, 3_000_000_001), (0, 4321), (1, 2), (4_294_967_294, 4_294_967_294))


def make(top: bytes) -> None:
    """Make ``modes``, ``owners``, ``nodes``, ``symlinks``, ``empty`` and ``times`` below a directory."""
    for mode in _MODES:
        write(b"%b/modes/file %04o" % (top, mode), b"some text", mode)
        path = directory(b"%b/modes/directory %04o" % (top, mode))
        write(path + b"/file", b"within", mode)
        write(path + b"/below/file", b"within")
        os.chmod(path, mode)
    for uid, gid in _OWNERS:
        path = directory(b"%b/owners/%d" % (top, uid))
        write(path + b"/setuid", b"#!")
        node(path + b"/fifo", stat.S_IFIFO)
        node(path + b"/socket", stat.S_IFSOCK)
        os.symlink(b"setuid", path + b"/symlink")
        for name in (b"", b"/setuid", b"/fifo", b"/socket", b"/symlink"):
            os.chown(path + name, uid, gid, follow_symlinks=False)
        os.chmod(path + b"/setuid", 0o6755)
    _nodes(top + b"/nodes")
    _symlinks(directory(top + b"/symlinks"))
    directory(top + b"/empty/in/empty", 0o700)
    write(top + b"/empty/file")
    for name in TIMES:
        path = directory(top + b"/times/" + name)
        write(path + b"/file", name)
        write(path + b"/directory/file", name)
        os.symlink(b"file", path + b"/symlink")
        node(path + b"/fifo", stat.S_IFIFO)
        node(path + b"/device", stat.S_IFCHR, device=(1, 3))
        node(path + b"/socket", stat.S_IFSOCK)


def _nodes(top: bytes) -> None:
    for mode in (0, 0o600, 0o666, 0o2750):
        for name, kind in ((b"fifo", stat.S_IFIFO), (b"socket", stat.S_IFSOCK)):
            os.chown(path := node(b"%b/%b %04o" % (top, name, mode), kind, mode), 0, 1234)
            os.chmod(path, mode)
    for major, minor in ((0, 0), (1, 3), (7, 300), (240, 17), (511, 262_143), (4095, 1_048_575)):
        with suppress(OSError):  # XFS has no room for the last one
            node(b"%b/character %d %d" % (top, major, minor), stat.S_IFCHR, 0o660, (major, minor))
            node(b"%b/block %d %d" % (top, major, minor), stat.S_IFBLK, 0o600, (major, minor))
    set_xattrs(node(top + b"/rounds mode", stat.S_IFSOCK, 0o700), trusted_a=b"1")


def _symlinks(top: bytes) -> None:
    targets = {
        b"dangling": b"nowhere",
        b"absolute": b"/etc/passwd",
        b"long": b"x/" * 500 + b"y",
        b"to itself": b"to itself",
        b"up": b"../..",
        b"slash": b"../modes/",
        b"bytes": bytes(sorted(set(range(1, 256)))),
        b"lines": b"two\nlines\n",
        b"space": b" ",
        b"dash": b"-rf",
    }
    for name, target in targets.items():
        os.symlink(target, top + b"/" + name)


def date_specially(top: bytes) -> None:
    """Give ``times`` its times; what is within is there by now."""
    for name, nanoseconds in TIMES.items():
        path = top + b"/times/" + name
        for each in (b"/file", b"/directory", b"/symlink", b"/fifo", b"/device", b"/socket", b""):
            date(path + each, nanoseconds)
