"""Changes to the awkward tree, most of them of nothing but metadata."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

from tests.awkward.attributes import LABEL, setcap
from tests.awkward.contents import KIB, holey, punch
from tests.awkward.dating import SECOND, date_all
from tests.awkward.setting import date, directory, node, set_acl, set_flags, set_xattrs, unlocked, write


def change(place: Path, number: int) -> None:
    """Change the tree.

    :param number: of the round: 1 attributes, 2 times, modes and owners, 3 links, 4 flags and holes; 5 contents, too.
    """
    top, begun = os.fsencode(place), time.time_ns()
    _ROUNDS[number](top)
    date_all(top, 1_700_000_000 + number, since=begun - SECOND)


def _attributes(top: bytes) -> None:
    set_xattrs(top + b"/xattrs/value text", user_value=b"changed", trusted_new=b"\n")
    os.removexattr(top + b"/xattrs/value quotes", "user.value")
    for name in os.listxattr(top + b"/xattrs/value zeros"):
        os.removexattr(top + b"/xattrs/value zeros", name)
    set_xattrs(top + b"/xattrs/value empty", user_value=b"not empty any more")
    set_xattrs(top + b"/xattrs/value lines", user_value=b"")
    os.removexattr(top + b"/xattrs/directory", "user.a")
    set_xattrs(top + b"/xattrs/link to nowhere", trusted_link=b"changed")
    set_xattrs(top + b"/symlinks/dangling", security_selinux=LABEL)
    set_xattrs(top + b"/xattrs/label", security_selinux=b"system_u:object_r:shadow_t:s0\0")
    set_acl(top + b"/acl/user", "u::rw-,u:1000:r--,g::r--,m::rw-,o::r--")
    set_acl(top + b"/acl/masked", "u::rwx,u:1000:rwx,u:1001:-wx,g::rwx,g:2000:rwx,m::r-x,o::---")
    os.removexattr(top + b"/acl/many", "system.posix_acl_access")
    os.removexattr(top + b"/acl/default/inherits", "system.posix_acl_default")
    set_acl(top + b"/acl/default/other", "u::rwx,u:7:r--,g::r-x,m::r-x,o::---", default="u::rwx,g::---,o::---")
    set_acl(top + b"/acl/fifo", "u::rw-,u:1002:r--,g::r--,m::rw-,o::---")
    set_acl(top + b"/acl/socket", "u::rw-,u:1002:r--,g::r--,m::rw-,o::---")
    os.removexattr(top + b"/capabilities/plain", "security.capability")
    setcap("cap_net_raw+p", top + b"/capabilities/of a group")
    setcap("cap_chown+ep", top + b"/modes/file 4755")
    set_acl(top, "u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-x")
    with unlocked(top + b"/flags/rounds i"):
        set_xattrs(top + b"/flags/rounds i", user_a=b"2", user_b=b"new")
    with unlocked(top + b"/flags/linked i"):
        set_acl(top + b"/flags/linked i too", "u::rw-,u:1000:r--,g::r--,m::r--,o::---")


def _times_modes_owners(top: bytes) -> None:
    for name in (b"file", b"directory", b"fifo", b"symlink", b"device", b"socket"):
        date(top + b"/times/2001/" + name, SECOND * SECOND + 5)
        date(top + b"/times/2001 1 ns/" + name, SECOND * SECOND)
        date(top + b"/times/1.5 s before/" + name, -SECOND * 3 // 2 - 1)
        date(top + b"/times/0/" + name, -3 * SECOND)
    date(top + b"/symlinks/absolute", 1_234_567_890 * SECOND + 1)
    date(top + b"/links/m/between", os.stat(top + b"/links/m/between").st_mtime_ns // SECOND * SECOND + 42)
    with unlocked(top + b"/flags/rounds i"):
        date(top + b"/flags/rounds i", os.stat(top + b"/flags/rounds i").st_mtime_ns // SECOND * SECOND + 42)
    os.chmod(top + b"/nodes/rounds mode", 0o1642)
    os.chown(top + b"/nodes/socket 0600", 77, 78)
    os.chown(top + b"/capabilities/setuid of somebody", 4321, 1234)
    os.chmod(top + b"/capabilities/setuid of somebody", 0o4711)
    setcap("cap_net_admin+ep", top + b"/capabilities/setuid of somebody")
    os.chown(top + b"/capabilities/of a group", 5, 5)  # and has none any more
    os.chmod(top + b"/modes/directory 0000", 0o711)
    os.chmod(top + b"/modes/file 0444", 0)
    os.chmod(top + b"/acl/masked all", 0o770)  # the mask of its ACL


def _links(top: bytes) -> None:
    rounds = top + b"/links/rounds/"
    os.link(rounds + b"m gets one", rounds + b"p gets one")
    os.unlink(rounds + b"n loses one")
    os.unlink(rounds + b"m loses its first")
    os.rename(rounds + b"n is renamed", rounds + b"z is renamed")
    os.link(rounds + b"m gets one before", top + b"/links/a/gets one before")
    _copied(rounds + b"n parts")
    _copied(top + b"/links/pairs/0")
    os.unlink(top + b"/links/symlink")
    os.link(top + b"/links/fifo", top + b"/links/a/fifo")
    os.unlink(top + b"/links/block device")
    os.unlink(top + b"/links/z/socket")
    # What was no link becomes one, and equal files are linked with each other's other name.
    os.unlink(top + b"/links/pairs/other 1")
    os.link(top + b"/links/pairs/2", top + b"/links/pairs/other 1")
    os.unlink(top + b"/links/empty 2")
    os.link(top + b"/acl/user", top + b"/acl/linked user")
    os.rename(top + b"/names/linked/\n", top + b"/names/linked/\n\n")


def _copied(path: bytes) -> None:
    """Turn a linked name into a file of its own with the same content, mode and time."""
    shutil.copy2(path, path + b".new")
    os.rename(path + b".new", path)


def _flags_and_holes(top: bytes) -> None:
    set_flags(top + b"/flags/file i", "", off="i")
    set_flags(top + b"/flags/rounds gets i", "i")
    set_flags(top + b"/flags/rounds d", "", off="d")
    set_flags(top + b"/flags/directory i", "d", off="i")
    set_flags(top + b"/links/large", "d")
    with unlocked(top + b"/flags/both"):
        set_flags(top + b"/flags/both", "A", off="d")
    sparse = top + b"/sparse/"
    names = (b"rounds punch", b"rounds fill", b"linked", b"zeros beside a hole")
    were = {name: os.stat(sparse + name).st_mtime_ns for name in names}
    punch(sparse + b"rounds punch", 40 * KIB, 80 * KIB)  # there were zeros
    _write_at(sparse + b"rounds fill", bytes(64 * KIB), 128 * KIB)
    _write_at(sparse + b"linked", bytes(4 * KIB), 64 * KIB)
    punch(sparse + b"zeros beside a hole", 128 * KIB, 64 * KIB)
    for name, was in were.items():
        date(sparse + name, was)


def _write_at(path: bytes, data: bytes, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def _contents_too(top: bytes) -> None:
    rounds = top + b"/links/rounds/"
    _write_at(rounds + b"n changes", b"changed through its second name", 20_000)
    os.unlink(rounds + b"m becomes another")
    os.symlink(b"n becomes another", rounds + b"m becomes another")
    date(rounds + b"m becomes another", -5)
    os.unlink(top + b"/acl/many")
    node(top + b"/acl/many", stat.S_IFIFO, 0o600)
    set_acl(top + b"/acl/many", "u::rw-,u:1000:r--,g::r--,m::r--,o::---")
    os.unlink(top + b"/nodes/fifo 0600")
    write(top + b"/nodes/fifo 0600", b"a file now")
    os.unlink(top + b"/acl/masked")
    directory(top + b"/acl/masked")
    os.link(rounds + b"n changes", top + b"/acl/masked/changes")
    holey(top + b"/acl/new with a hole", 300 * KIB, {200 * KIB: b"data"})
    shutil.rmtree(top + b"/empty")
    os.rename(top + b"/links/pairs", top + b"/links/pairs of old")
    with unlocked(top + b"/flags/rounds i"):
        with open(top + b"/flags/rounds i", "ab") as file:
            file.write(b" and more")
        date(top + b"/flags/rounds i", 1_700_000_005 * SECOND)
    with unlocked(top + b"/flags/directory a"):
        write(top + b"/flags/directory a/new", b"appended")
        date(top + b"/flags/directory a", 1_700_000_005 * SECOND)


_ROUNDS: dict[int, Callable[[bytes], None]] = {
    1: _attributes,
    2: _times_modes_owners,
    3: _links,
    4: _flags_and_holes,
    5: _contents_too,
}
