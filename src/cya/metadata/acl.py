"""``acl.txt``: access and default ACLs as ``getfacl --numeric --skip-base`` writes them, and as the kernel takes them.

A value of ``system.posix_acl_access`` or ``system.posix_acl_default`` is a version, 2, in four bytes, then for each
entry its tag and permissions in two bytes each and an id in four, little-endian (linux/posix_acl_xattr.h). Read from
getfacl and libacl 2.3.1.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cya.metadata.quoting import quoted_in_acl, unquoted

_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_NO_ID = 0xFFFFFFFF
_OWNER, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 0x10, 0x20
_WORDS = {_OWNER: b"user", _USER: b"user", _GROUP_OBJ: b"group", _GROUP: b"group", _MASK: b"mask", _OTHER: b"other"}
_BASE = {_OWNER, _GROUP_OBJ, _OTHER}
_MASKED = {_USER, _GROUP_OBJ, _GROUP}
_TAGS = {
    # by the word and whether an id follows it
    (b"user", False): _OWNER,
    (b"user", True): _USER,
    (b"group", False): _GROUP_OBJ,
    (b"group", True): _GROUP,
    (b"mask", False): _MASK,
    (b"other", False): _OTHER,
}
_LINE = re.compile(rb"(default:)?([a-z]+):([^:]*):([r-][w-][x-])[ \t]*(?:#.*)?")
_PERMISSIONS = [b"---", b"--x", b"-w-", b"-wx", b"r--", b"r-x", b"rw-", b"rwx"]
_FLAGS = ((b"s", stat.S_ISUID), (b"s", stat.S_ISGID), (b"t", stat.S_ISVTX))

Entry = tuple[int, int, int]
"""A tag, its permissions (4 read, 2 write, 1 execute) and an id, which is 0xFFFFFFFF for a tag that has none."""


class Acl(NamedTuple):
    """What ``acl.txt`` says of a file.

    :ivar path: relative, ``b"."`` for the root; unchecked.
    :ivar uid: the owner; None where the text does not say.
    :ivar gid: the group, alike.
    :ivar flags: those of S_ISUID, S_ISGID and S_ISVTX that are set.
    :ivar access: a value of ``system.posix_acl_access``; None where the mode says it all.
    :ivar default: a value of ``system.posix_acl_default``; None where there is none.
    """

    path: bytes
    uid: int | None
    gid: int | None
    flags: int
    access: bytes | None
    default: bytes | None


def stanza(path: bytes, uid: int, gid: int, mode: int, access: bytes | None, default: bytes | None) -> bytes:
    """Write what getfacl prints into a pipe; nothing where it would skip the file.

    :param path: as it is to stand there: relative, without ``./`` before it.
    :param access: the value of ``system.posix_acl_access``; None where there is none.
    :param default: the value of ``system.posix_acl_default``, alike.
    :raises ValueError: when one of them is not such a value.
    """
    entries = _of_value(access) if access is not None else _of_mode(mode)
    defaults = _of_value(default) if default is not None and stat.S_ISDIR(mode) else []
    if stat.S_ISLNK(mode) or (not defaults and {tag for tag, _, _ in entries} <= _BASE):
        return b""
    lines = [b"# file: " + quoted_in_acl(path), b"# owner: %d" % uid, b"# group: %d" % gid]
    if mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        lines.append(b"# flags: " + b"".join(letter if mode & bit else b"-" for letter, bit in _FLAGS))
    lines += _lines(entries, b"")
    lines += _lines(defaults, b"default:")
    return b"\n".join(lines) + b"\n\n"


def parse(lines: Iterable[bytes]) -> Iterator[Acl]:
    """Read what getfacl wrote with ``--numeric``, in whatever order, with or without ``--skip-base``.

    :param lines: a file, or lines with or without their ends.
    :raises ValueError: on a line that getfacl does not write, or a user or group that is not a number.
    """
    reading: _Reading | None = None
    for number, whole in enumerate(lines, 1):
        line = whole.rstrip(b"\n")
        if line.startswith(b"# file: "):
            if reading is not None:
                yield reading.acl()
            reading = _Reading(unquoted(line.removeprefix(b"# file: ")))
        elif line and reading is not None:
            reading.take(line)
        elif line and not line.startswith(b"#"):
            raise ValueError(f"line {number}, {line!r}, belongs to no file")
    if reading is not None:
        yield reading.acl()


class _Reading:
    """A file whose lines are being read."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._header: dict[bytes, bytes] = {}
        self._entries: dict[bool, list[Entry]] = {False: [], True: []}

    def take(self, line: bytes) -> None:
        """Take a line that is neither the first nor empty."""
        if line.startswith(b"#"):
            word, _, value = line[1:].strip().partition(b": ")
            self._header[word] = value
            return
        found = _LINE.fullmatch(line)
        tag = _TAGS.get((found[2], bool(found[3]))) if found is not None else None
        if found is None or tag is None:
            raise ValueError(f"{self._path!r}: {line!r} is not an entry of an ACL")
        id_ = self._number(found[3]) if found[3] else _NO_ID
        self._entries[found[1] is not None].append((tag, _PERMISSIONS.index(found[4]), id_))

    def acl(self) -> Acl:
        """Return what has been read."""
        access, default = self._entries[False], self._entries[True]
        flags = self._header.get(b"flags", b"---")
        return Acl(
            self._path,
            self._number(self._header[b"owner"]) if b"owner" in self._header else None,
            self._number(self._header[b"group"]) if b"group" in self._header else None,
            sum(bit for place, (letter, bit) in enumerate(_FLAGS) if flags[place : place + 1] == letter),
            None if {tag for tag, _, _ in access} <= _BASE else _value(access),
            _value(default) if default else None,
        )

    def _number(self, word: bytes) -> int:
        if re.fullmatch(rb"[0-9]{1,10}", word) is None or int(word) >= _NO_ID:
            raise ValueError(f"{self._path!r}: {word!r} is not the number of a user or group")
        return int(word)


def group_bits(value: bytes) -> int:
    """Return what the owning group may do, 0 to 7: in the mode of a file with such an ACL stands the mask instead.

    :raises ValueError: when it is not such a value.
    """
    return next((permissions for tag, permissions, _ in _of_value(value) if tag == _GROUP_OBJ), 0)


def _of_mode(mode: int) -> list[Entry]:
    return [(_OWNER, mode >> 6 & 7, _NO_ID), (_GROUP_OBJ, mode >> 3 & 7, _NO_ID), (_OTHER, mode & 7, _NO_ID)]


def _of_value(value: bytes) -> list[Entry]:
    if value[:4] != _VERSION or len(value) % _ENTRY.size != 4:
        raise ValueError(f"{value[:12].hex()} … is not an ACL of version 2")
    # The kernel does not ask that ids are in order; getfacl puts them so.
    return sorted(_ENTRY.iter_unpack(value[4:]), key=lambda entry: (entry[0], entry[2]))


def _value(entries: list[Entry]) -> bytes:
    ordered = sorted(entries, key=lambda entry: (entry[0], entry[2]))
    return _VERSION + b"".join(_ENTRY.pack(*entry) for entry in ordered)


def _lines(entries: list[Entry], prefix: bytes) -> Iterator[bytes]:
    mask = next((permissions for tag, permissions, _ in entries if tag == _MASK), 7)
    for tag, permissions, id_ in entries:
        name = b"%d" % id_ if tag in (_USER, _GROUP) else b""
        line = b"%s%s:%s:%s" % (prefix, _WORDS[tag], name, _PERMISSIONS[permissions & 7])
        if tag in _MASKED and permissions & ~mask & 7:
            line += b"\t#effective:" + _PERMISSIONS[permissions & mask & 7]
        yield line
