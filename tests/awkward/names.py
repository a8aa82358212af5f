"""Names of every byte, names that look like something else, and paths that no system call takes."""

from __future__ import annotations

import os
import stat

from tests.awkward.setting import directory, node, set_acl, set_flags, set_xattrs, write

ODD = [
    b"two\nlines",
    b"at its end\n",
    b"\n",
    b" ",
    b"   ",
    b" before",
    b"-",
    b"--",
    b"-rf",
    b"--help",
    b"-h\n",
    b"*",
    b"[a-z]?",
    b"**",
    b"...",
    b"..x",
    b"x" * 255,
    b"\xff\xfe invalid",
    b"\xc3",
    b"\xc3\xa9 composed",
    b"e\xcc\x81 decomposed",
    b"\\",
    b"back\\slash",
    b"\\012",
    b"\\n",
    b"\\134",
    b"\\\n",
    b"# file: x",
    b"# file: x\nuser.fake=1\n\n# file: y",
    b"user::rwx",
    b'"quoted"',
    b"it's",
    b"a=b",
    b"$(id)",
    b"`id`",
    b"%s%n",
    b"{}",
    b";",
    b"~",
    b"+i",
    b"@-1.5",
    b"\x1b[31m",
    b"\t",
    b"\r",
    b".dupext",
    b"x\x01\xff",
]
LEVELS, LENGTH = 30, 200


def make(top: bytes) -> None:
    """Make ``names``, ``deep``, and odd names in a directory itself."""
    _bytes(top + b"/names")
    _odd(top + b"/names/odd")
    _deep(top)
    for name in (b".dupext-not", b".dupext2/format.txt", b"sub/.dupext/format.txt", b"-rf", b"*", b" ", b"# file: x"):
        set_xattrs(write(top + b"/" + name, b"cya dupext 1\n"), user_name=name)
        set_acl(top + b"/" + name, "u::rw-,u:1000:r--,g::r--,m::r--,o::---")


def _bytes(top: bytes) -> None:
    """Each byte alone (but for ``.``, which is no file's) and within a name."""
    for directories in (b"bytes", b"linked", b"within"):
        directory(top + b"/" + directories)
    for code in sorted(set(range(1, 256)) - {ord("/")}):
        byte = bytes([code])
        if byte != b".":
            path = write(top + b"/bytes/" + byte, byte)
            set_xattrs(path, user_byte=byte)
            os.link(path, top + b"/linked/" + byte)
        path = write(top + b"/within/a" + byte + b"b", byte)
        set_acl(path, "u::rw-,u:1000:r--,g::r--,m::r--,o::---")
        set_flags(path, "d")


def _odd(top: bytes) -> None:
    """Each as a file that has everything, a directory, a symbolic link, a FIFO, a socket, and a file with a hole."""
    for name in ODD:
        path = write(top + b"/files/" + name, name)
        set_acl(path, "u::rw-,u:1000:r--,g::r--,m::r--,o::---")
        set_xattrs(path, user_name=name)
        set_flags(path, "d")
        os.link(path, directory(top + b"/linked") + b"/" + name)
        set_acl(directory(top + b"/directories/" + name), "", default="u::rwx,u:1000:r--,g::r--,m::r--,o::---")
        os.symlink(b"../files/" + name, directory(top + b"/symlinks") + b"/" + name)
        node(top + b"/fifos/" + name, stat.S_IFIFO, 0o640)
        node(top + b"/sockets/" + name, stat.S_IFSOCK, 0o640)
        os.truncate(write(top + b"/sparse/" + name), 100_000)


def _deep(top: bytes) -> None:
    """Directories below each other, until the path is longer than PATH_MAX; the last has files of all kinds."""
    fd = os.open(directory(top + b"/deep"), os.O_RDONLY)
    for level in range(LEVELS):
        name = b"%02d" % level + b"d" * (LENGTH - 2)
        os.mkdir(name, 0o755, dir_fd=fd)
        outer, fd = fd, os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(outer)
    here = b"/proc/self/fd/%d/" % fd
    set_xattrs(write(here + b"file", b"far down"), user_name=b"far down", trusted_name=b"\0")
    set_acl(here + b"file", "u::rw-,u:1000:r--,g::r--,m::r--,o::---")
    set_flags(here + b"file", "d")
    os.link(here + b"file", here + b"linked")
    os.link(here + b"file", top + b"/deep/linked from above")
    os.symlink(b"file", here + b"symlink")
    node(here + b"fifo", stat.S_IFIFO, 0o640)
    node(here + b"socket", stat.S_IFSOCK, 0o640)
    os.truncate(write(here + b"sparse"), 100_000)
    os.close(fd)
