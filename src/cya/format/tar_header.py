"""Tar headers as CPython's tarfile writes them in its PAX format, byte for byte.

::

    offset  100    124   136    148       156   157       257    265    297    329  337  345     500
    name    mode…  size  mtime  checksum  kind  linkname  magic  uname  gname  devices   prefix  (zeros)

Numbers are octal digits and a zero byte; the prefix is never used. What does not fit into its field, and a name that is
not ASCII, stands in a PAX ``x`` header in front, as records ``LENGTH KEY=VALUE`` and the end of the line; the field
itself then has 0, or the name cut off and with ``?`` for all that is not ASCII. When one of the names is not UTF-8,
``hdrcharset=BINARY`` comes first. Read from POSIX.1-2008 and from what Python 3.9 to 3.13 write, which do not differ.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import adler32

BLOCK = 512
"""Bytes of a block: all headers, and data with their padding, are whole blocks."""
END = bytes(2 * BLOCK)
"""What follows the last member."""

REGULAR = b"0"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"

MAX_EXTENDED = 1 << 20
"""The most bytes of PAX records, or of a GNU long name, for one member."""
MAX_OWNER = 1024
"""The longest name of a user or a group, in bytes."""

_KINDS = frozenset((REGULAR, b"1", SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO, b"7"))
_NAME, _OWNER = 100, 32
_ID_LIMIT, _SIZE_LIMIT = 8**7, 8**11
_NUMBER_LIMIT = 2**63


def header(
    name: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    *,
    linkname: bytes = b"",
    uname: bytes = b"",
    gname: bytes = b"",
    devmajor: int = 0,
    devminor: int = 0,
) -> bytes:
    """Return all header blocks of one member; its data follow, and their :func:`padding`.

    :param name: a directory's gets a slash at its end where it has none.
    :param kind: one of the constants, or ``b"1"`` (hard link) or ``b"7"`` (contiguous file).
    :param mode: permissions, up to 0o7777.
    :param size: bytes of data. Readers expect none after anything but a file, whatever the size says.
    :param mtime: seconds since the epoch.
    :param devmajor: this and ``devminor`` are written for devices only.
    :raises ValueError: for what cannot be written: a number that is negative or from 2**63 on, a device's number from
        8**7 on, another mode or kind, a zero byte in a name, a user or group longer than :data:`MAX_OWNER`, records
        longer than :data:`MAX_EXTENDED`.
    """
    if kind == DIRECTORY and not name.endswith(b"/"):
        name += b"/"
    if (
        len(name) <= _NAME
        and len(linkname) <= _NAME
        and len(uname) <= _OWNER
        and len(gname) <= _OWNER
        and name.isascii()
        and linkname.isascii()
        and uname.isascii()
        and gname.isascii()
        and 0 <= size < _SIZE_LIMIT
        and 0 <= mtime < _SIZE_LIMIT
        and 0 <= uid < _ID_LIMIT
        and 0 <= gid < _ID_LIMIT
        and b"\0" not in name
    ):
        tail = _tail(kind, linkname, uname, gname, devmajor, devminor)
        return _block(name, _permissions(mode, uid, gid), size, mtime, tail)
    return _extended(name, kind, mode, (uid, gid, size, mtime), (linkname, uname, gname), (devmajor, devminor))


class FileHeaders:
    """Returns the headers of regular files that have permissions and owner in common."""

    def __init__(self, mode: int, uid: int, gid: int, uname: bytes, gname: bytes) -> None:
        """Take note of what they have in common; see :func:`header`."""
        self._common = (mode, uid, gid, uname, gname)
        fits = len(uname) <= _OWNER and len(gname) <= _OWNER and uname.isascii() and gname.isascii()
        self._fits = fits and 0 <= uid < _ID_LIMIT and 0 <= gid < _ID_LIMIT
        if self._fits:
            self._permissions = _permissions(mode, uid, gid)
            self._tail = _tail(REGULAR, b"", uname, gname, 0, 0)

    def header(self, name: bytes, size: int, mtime: int) -> bytes:
        """Return what :func:`header` returns; many a time quicker than that."""
        if (
            self._fits
            and len(name) <= _NAME
            and name.isascii()
            and 0 <= size < _SIZE_LIMIT
            and 0 <= mtime < _SIZE_LIMIT
            and b"\0" not in name
        ):
            return _block(name, self._permissions, size, mtime, self._tail)
        mode, uid, gid, uname, gname = self._common
        return header(name, REGULAR, mode, uid, gid, size, mtime, uname=uname, gname=gname)


def padding(size: int) -> int:
    """Return how many zero bytes follow ``size`` bytes of data, up to the next whole block."""
    return -size % BLOCK


def size_bound(name_length: int, link_length: int, owners_length: int = 2 * MAX_OWNER) -> int:
    """Return at least as many bytes as :func:`header` returns for names of these lengths, whatever the other values.

    :param name_length: bytes of the name, with or without a directory's slash.
    :param owners_length: bytes of the names of user and group together.
    """
    digits = len(str(_NUMBER_LIMIT))
    lengths = {b"path": name_length + 1, b"linkpath": link_length, b"uname": owners_length, b"gname": owners_length}
    lengths |= dict.fromkeys((b"uid", b"gid", b"size", b"mtime"), digits)
    # Blank, equals sign and end of line, and the digits of the record's length.
    records = sum(len(key) + length + 3 + len(str(length + 100)) for key, length in lengths.items())
    records += len(_record(b"hdrcharset", b"BINARY")) - owners_length
    return 3 * BLOCK + records - records % BLOCK


def _block(name: bytes, permissions: bytes, size: int, mtime: int, tail: tuple[bytes, int]) -> bytes:
    front = b"%b%b%011o\0%011o\0" % (name.ljust(_NAME, b"\0"), permissions, size, mtime)
    # Adler-32 begins with the sum of all bytes, and 1, modulo 65521: half of an ASCII header cannot reach that.
    checksum = (adler32(front) & 0xFFFF) - 1 + tail[1]
    return b"%b%06o\0%b" % (front, checksum, tail[0])


@lru_cache(1024)
def _permissions(mode: int, uid: int, gid: int) -> bytes:
    if not 0 <= mode <= 0o7777:
        raise ValueError(f"a mode of {mode:#o} cannot be written into a tar header")
    return b"%07o\0%07o\0%07o\0" % (mode, uid, gid)


@lru_cache(1024)
def _tail(kind: bytes, linkname: bytes, uname: bytes, gname: bytes, devmajor: int, devminor: int) -> tuple[bytes, int]:
    """Return all from the checksum's last byte on, and what it adds to the sum; the names are ASCII."""
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is not a kind of file that can be written into a tar header")
    if b"\0" in linkname + uname + gname:
        raise ValueError(f"a zero byte cannot be written into a tar header: {linkname!r}, {uname!r}, {gname!r}")
    devices = b""
    if kind in (CHARACTER, BLOCK_DEVICE):
        if not (0 <= devmajor < _ID_LIMIT and 0 <= devminor < _ID_LIMIT):
            raise ValueError(f"a device {devmajor}, {devminor} cannot be written into a tar header")
        devices = b"%07o\0%07o\0" % (devmajor, devminor)
    return _packed_tail(kind, linkname, uname, gname, devices)


def _packed_tail(
    kind: bytes, linkname: bytes = b"", uname: bytes = b"", gname: bytes = b"", devices: bytes = b""
) -> tuple[bytes, int]:
    names = (linkname.ljust(_NAME, b"\0"), b"ustar\x0000", uname.ljust(_OWNER, b"\0"), gname.ljust(_OWNER, b"\0"))
    tail = b" " + b"".join((kind, *names, devices)).ljust(BLOCK - 156, b"\0")
    # The checksum itself counts as eight blanks, one of which is in the tail.
    return tail, sum(tail) + 7 * ord(" ")


def _record(key: bytes, value: bytes) -> bytes:
    """Write a PAX record; its length counts the digits of the length too."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _extended(
    name: bytes,
    kind: bytes,
    mode: int,
    numbers: tuple[int, int, int, int],
    others: tuple[bytes, bytes, bytes],
    devices: tuple[int, int],
) -> bytes:
    """Return the header of a member with at least one value that its field cannot hold."""
    if max(len(others[1]), len(others[2])) > MAX_OWNER:
        raise ValueError(f"a user or group of more than {MAX_OWNER} bytes cannot be written into a tar header")
    records = []
    binary = False
    fields = []
    for key, value, length in zip(
        (b"path", b"linkpath", b"uname", b"gname"), (name, *others), (_NAME, _NAME, _OWNER, _OWNER), strict=True
    ):
        if b"\0" in value:
            raise ValueError(f"a zero byte cannot be written into a tar header: {value!r}")
        field = value
        if not value.isascii():
            try:
                field = value.decode("utf-8").encode("ascii", "replace")
            except UnicodeDecodeError:
                binary = True
                field = value.decode("utf-8", "surrogateescape").encode("ascii", "replace")
        if field is not value or len(value) > length:
            records.append(_record(key, value))
        fields.append(field[:length])
    fitting = []
    limits = (_ID_LIMIT, _ID_LIMIT, _SIZE_LIMIT, _SIZE_LIMIT)
    for key, number, limit in zip((b"uid", b"gid", b"size", b"mtime"), numbers, limits, strict=True):
        if not 0 <= number < _NUMBER_LIMIT:
            raise ValueError(f"a {key.decode()} of {number} cannot be written into a tar header")
        if number >= limit:
            records.append(_record(key, b"%d" % number))
        fitting.append(number if number < limit else 0)
    if binary:
        records.insert(0, _record(b"hdrcharset", b"BINARY"))
    uid, gid, size, mtime = fitting
    tail = _tail(kind, fields[1], fields[2], fields[3], *devices)
    data = b"".join(records)
    if len(data) > MAX_EXTENDED:
        raise ValueError(f"{len(data)} bytes of names cannot be written into a tar header")
    extended = _block(b"././@PaxHeader", _permissions(0, 0, 0), len(data), 0, _EXTENDED)
    return b"".join(
        (extended, data, bytes(padding(len(data))), _block(fields[0], _permissions(mode, uid, gid), size, mtime, tail))
    )


_EXTENDED = _packed_tail(b"x")
