"""Sets what a file has beside contents. Paths are bytes; symbolic links are never followed."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager

LETTERS = {
    "s": 0x1,
    "u": 0x2,
    "c": 0x4,
    "S": 0x8,
    "i": 0x10,
    "a": 0x20,
    "d": 0x40,
    "A": 0x80,
    "m": 0x400,
    "j": 0x4000,
    "t": 0x8000,
    "D": 0x10000,
    "T": 0x20000,
    "C": 0x800000,
}
"""Inode flags that users set (linux/fs.h), by the letters that chattr takes."""
LOCKING = LETTERS["i"] | LETTERS["a"]
_GET, _SET = 0x80086601, 0x40086602
_TAGS = {("u", False): 0x01, ("u", True): 0x02, ("g", False): 0x04, ("g", True): 0x08}
_MASK, _OTHER, _NO_ID = 0x10, 0x20, 0xFFFFFFFF


def flags(path: bytes, dir_fd: int | None = None) -> int:
    """Return the inode flags of a file or a directory; 0 where the file system has none, or it is something else."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, _GET, bytes(4)))[0]) & 0xFFFFFFFF
    except OSError:
        return 0
    finally:
        os.close(fd)


def set_flags(path: bytes, letters: str, *, off: str = "", dir_fd: int | None = None) -> None:
    """Turn flags on, and others off.

    :raises OSError: EOPNOTSUPP or EINVAL where the file system has not got one of them.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=dir_fd)
    try:
        value = struct.unpack("i", fcntl.ioctl(fd, _GET, bytes(4)))[0]
        value |= sum(LETTERS[letter] for letter in letters)
        value &= ~sum(LETTERS[letter] for letter in off)
        fcntl.ioctl(fd, _SET, struct.pack("i", value))
    finally:
        os.close(fd)


@contextmanager
def unlocked(path: bytes) -> Iterator[None]:
    """Let an immutable or append-only file be changed in the block."""
    was = flags(path)
    set_flags(path, "", off="ia")
    yield
    set_flags(path, "".join(letter for letter in "ia" if was & LETTERS[letter]))


def acl(text: str) -> bytes:
    """Return an ACL as it lies in an attribute (linux/posix_acl_xattr.h).

    :param text: as ``u::rwx,u:1000:rw-,g::r--,m::rw-,o::---``, in this order.
    """
    packed = struct.pack("<I", 2)
    for entry in text.split(","):
        kind, who, letters = entry.split(":")
        tag = {"m": _MASK, "o": _OTHER}.get(kind) or _TAGS[kind, bool(who)]
        bits = sum(bit for bit, letter in ((4, "r"), (2, "w"), (1, "x")) if letter in letters)
        packed += struct.pack("<HHI", tag, bits, int(who) if who else _NO_ID)
    return packed


def set_acl(path: bytes, text: str, *, default: str = "") -> None:
    """Set an access ACL, and the default ACL of a directory; an empty text sets none."""
    for name, value in (("access", text), ("default", default)):
        if value:
            os.setxattr(path, f"system.posix_acl_{name}", acl(value))


def set_xattrs(path: bytes, **values: bytes) -> None:
    """Set extended attributes, named ``user_NAME``, ``trusted_NAME``, ``security_NAME``."""
    for name, value in values.items():
        os.setxattr(path, name.replace("_", ".", 1), value, follow_symlinks=False)


def write(path: bytes, content: bytes = b"", mode: int = 0o644) -> bytes:
    """Make a file with its directories; return its path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        os.fchmod(fd, mode)
    return path


def node(path: bytes, kind: int, mode: int = 0o644, device: tuple[int, int] = (0, 0)) -> bytes:
    """Make a FIFO, a socket or a device; return its path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.mknod(path, kind | mode, os.makedev(*device) if stat.S_ISCHR(kind) or stat.S_ISBLK(kind) else 0)
    os.chmod(path, mode)
    return path


def directory(path: bytes, mode: int = 0o755) -> bytes:
    """Make a directory with its parents; return its path."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)
    return path


def date(path: bytes, nanoseconds: int) -> None:
    """Set the modification time of anything, and an access time of no interest."""
    os.utime(path, ns=(1_600_000_000_000_000_000, nanoseconds), follow_symlinks=False)
