"""The fields of a tar header block, the numbers in them, and the records of PAX headers, as they are read.

A number is octal digits with blanks or zero bytes around them; or, after a byte 0x80 (0xFF: negative), binary and big
endian. Python 2 wrote negative times as 64 bits without a sign. Read from POSIX.1-2008, from GNU tar's manual, and from
what Python 2.7 to 3.13 write.
"""

from __future__ import annotations

import re
from functools import lru_cache
from struct import Struct
from typing import NamedTuple
from zlib import adler32

_TAIL = Struct("100s 6s 2x 32s 32s 8s 8s 155s 12x")
_GNU_MAGIC = b"ustar "
_OCTAL = re.compile(rb" *([0-7]{0,24}) *(?:\0.*)?", re.S)
_DECIMAL = re.compile(rb"[0-9]{1,20}")
_TIME = re.compile(rb"(-?[0-9]{1,20})(?:\.[0-9]*)?")
_EXPONENT = re.compile(rb"-?[0-9](?:\.[0-9]{1,30})?e[+-][0-9]{2}")
_LENGTH = re.compile(rb"([0-9]{1,10}) ")
_KEYS = frozenset((b"path", b"linkpath", b"uname", b"gname", b"uid", b"gid", b"size", b"mtime"))

Records = dict[bytes, bytes]
"""Those records of PAX headers that count, by key; a value may be empty."""


class Tail(NamedTuple):
    """The fields after the kind; ``prefix`` is empty or ends in a slash."""

    linkname: bytes
    uname: bytes
    gname: bytes
    devmajor: int
    devminor: int
    prefix: bytes


@lru_cache(4096)
def number(field: bytes) -> int:
    """Read a number.

    :raises ValueError: when it is none, is negative, or does not fit into 64 bits.
    """
    value = _value(field)
    if not 0 <= value < 2**64:
        raise ValueError(f"{field!r} is not a number from 0 to 2**64")
    return value


@lru_cache(4096)
def time(field: bytes) -> int:
    """Read a time, which may be negative.

    :raises ValueError: when it is none, or does not fit into 64 bits.
    """
    return _signed(_value(field))


@lru_cache(1024)
def permissions(fields: bytes) -> tuple[int, int, int]:
    """Read mode, uid and gid; of the mode the permissions only.

    :raises ValueError: when one is not a number.
    """
    return number(fields[:8]) & 0o7777, number(fields[8:16]), number(fields[16:])


@lru_cache(256)
def tail(fields: bytes) -> Tail:
    """Read the 355 bytes after the kind.

    :raises ValueError: when the number of a device is none.
    """
    link, magic, uname, gname, devmajor, devminor, prefix = _TAIL.unpack(fields)
    # GNU tar has other things in the prefix's place.
    before = b"" if magic == _GNU_MAGIC else text(prefix)
    return Tail(
        *(text(link), text(uname), text(gname), number(devmajor), number(devminor)), before + b"/" if before else b""
    )


def name(block: bytes) -> bytes:
    """Return the name that a whole block says, without the rest of it being looked at."""
    before = b"" if block[257:263] == _GNU_MAGIC else text(block[345:500])
    own = text(block[:100])
    return before + b"/" + own if before else own


def text(field: bytes) -> bytes:
    """Return what stands before the first zero byte."""
    return field.partition(b"\0")[0]


def sum_is_right(block: bytes) -> bool:
    """Say whether the checksum of a block is right; bytes may count with or without a sign."""
    try:
        stated, own = _checksum(block[148:156])
    except ValueError:
        return False
    if block.isascii():
        # Adler-32 begins with the sum, and 1, modulo 65521, which ASCII does not reach; it is ten times as fast as sum.
        return (adler32(block) & 0xFFFF) - 1 == stated + own
    unsigned = sum(block) - own
    return stated in (unsigned, unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:]))


@lru_cache(4096)
def _checksum(field: bytes) -> tuple[int, int]:
    """Return the checksum, and what the field itself adds to the sum beyond the blanks for which it counts."""
    return number(field), sum(field) - 8 * ord(" ")


def records(data: bytes) -> Records:
    """Read the records of a PAX header; of two with the same key the last counts.

    :raises ValueError: when one is malformed, or has a zero byte in a name.
    """
    found: Records = {}
    at = 0
    while at < len(data):
        begin = _LENGTH.match(data, at)
        if begin is None:
            if data[at] or data.count(0, at) < len(data) - at:
                raise ValueError("a record without a length")
            break
        end = at + int(begin[1])
        if end > len(data) or end <= begin.end() or data[end - 1] != 0x0A:
            raise ValueError(f"a record of {end - at} bytes has no end")
        key, equals, value = data[begin.end() : end - 1].partition(b"=")
        if not key or not equals:
            raise ValueError("a record without a key")
        if key in _KEYS:
            if b"\0" in value:
                raise ValueError(f"a zero byte in {key.decode()}")
            found[key] = value
        at = end
    return found


def decimal(value: bytes) -> int:
    """Read a record's number.

    :raises ValueError: as :func:`number`.
    """
    if _DECIMAL.fullmatch(value) is None or int(value) >= 2**64:
        raise ValueError(f"{value[:40]!r} is not a number from 0 to 2**64")
    return int(value)


def decimal_time(value: bytes) -> int:
    """Read a record's time, cut to the second towards 0 as stock does.

    :raises ValueError: as :func:`time`.
    """
    found = _TIME.fullmatch(value)
    if found is not None:
        return _signed(int(found[1]))
    if _EXPONENT.fullmatch(value) is not None:
        return _signed(int(float(value)))
    raise ValueError(f"{value[:40]!r} is not a time")


def _value(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise ValueError(f"{field!r} is not a number")
    return int(found[1] or b"0", 8)


def _signed(value: int) -> int:
    if 2**63 <= value < 2**64:
        value -= 2**64
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"a time of {value} does not fit into 64 bits")
    return value
