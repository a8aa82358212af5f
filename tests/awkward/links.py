"""Files with several names."""

from __future__ import annotations

import os
import stat

from tests.awkward.attributes import setcap
from tests.awkward.setting import directory, node, set_acl, set_xattrs, write


def make(top: bytes) -> None:
    """Make ``links`` below a directory; what :mod:`.rounds` changes has names of its own."""
    top += b"/links"
    _linked(write(top + b"/same directory", b"one"), top + b"/same directory too")
    _linked(write(top + b"/m/between", b"across"), top + b"/a/before", top + b"/z/after")
    # By components "s/x" comes before "s x", by characters after it.
    _linked(write(top + b"/s x", b"components"), top + b"/s/x", top + b"/s\x01x")
    _linked(write(top + b"/empty 1"), top + b"/empty 2", top + b"/a/empty 3")
    _linked(write(top + b"/setuid", b"#!", 0o4755), top + b"/z/setuid")
    os.chown(top + b"/setuid", 1234, 4321)
    os.chmod(top + b"/setuid", 0o4755)
    _linked(write(top + b"/large", bytes(n * n % 251 for n in range(300_000))), top + b"/z/large")
    with_all = write(top + b"/with all", b"#!", 0o755)
    _linked(with_all, top + b"/a/with all", top + b"/z/with all")
    os.chown(with_all, 1234, 4321)
    set_acl(with_all, "u::rwx,u:1000:rwx,g::r-x,m::r-x,o::---")
    set_xattrs(with_all, user_a=b"1", trusted_b=b"\0")
    setcap("cap_net_raw+ep", with_all)
    _linked(write(top + b"/no mode", b"0000", 0), top + b"/no mode either")
    os.symlink(b"same directory", top + b"/symlink")
    _linked(top + b"/symlink", top + b"/a/symlink", top + b"/z/symlink")
    set_xattrs(top + b"/symlink", trusted_link=b"linked")
    for name, kind, device in (
        (b"fifo", stat.S_IFIFO, (0, 0)),
        (b"character device", stat.S_IFCHR, (240, 17)),
        (b"block device", stat.S_IFBLK, (7, 99)),
        (b"socket", stat.S_IFSOCK, (0, 0)),
    ):
        _linked(node(top + b"/" + name, kind, 0o640, device), top + b"/z/" + name)
    for number in range(3):
        first = write(b"%b/pairs/%d" % (top, number), b"all pairs are equal")
        _linked(first, b"%b/pairs/other %d" % (top, number))
    for name in (b"gets one", b"loses one", b"loses its first", b"is renamed", b"gets one before", b"parts"):
        first = write(b"%b/rounds/m %b" % (top, name), b"in rounds: " + name)
        _linked(first, b"%b/rounds/n %b" % (top, name), b"%b/rounds/o %b" % (top, name))
    for name in (b"changes", b"becomes another"):
        first = write(b"%b/rounds/m %b" % (top, name), bytes(n * n % 239 for n in range(50_000)))
        _linked(first, b"%b/rounds/n %b" % (top, name))


def _linked(path: bytes, *others: bytes) -> None:
    for other in others:
        directory(os.path.dirname(other))
        os.link(path, other, follow_symlinks=False)
