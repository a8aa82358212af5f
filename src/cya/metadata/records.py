"""Fields that are each ended by a zero byte, and paths in them: ``./a/b``, the root of the backup ``.``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from cya.format.key import path_of

LONGEST = 1 << 26
"""The most bytes of a field; whoever wrote a file must not be able to fill the memory of its reader."""

_CHUNK = 1 << 18
_NOT_PLAIN = re.compile(rb"\0|(?:^|/)\.{0,2}(?:/|\Z)")
"""A zero byte, or a component that is empty, ``.`` or ``..``."""


def fields(file: BinaryIO) -> Iterator[bytes]:
    """Read the fields one after another.

    :raises ValueError: when the last one is cut off, or one is longer than :data:`LONGEST`.
    """
    rest: list[bytes] = []
    length = 0
    while chunk := file.read(_CHUNK):
        first, *others = chunk.split(b"\0")
        rest.append(first)
        length += len(first)
        if length > LONGEST:
            raise ValueError(f"a field of more than {LONGEST} bytes")
        if not others:
            continue
        yield b"".join(rest)
        yield from others[:-1]
        rest = [others[-1]]
        length = len(others[-1])
    if length:
        raise ValueError(f"cut off in {b''.join(rest)[:80]!r}")


def pairs(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Read the fields two at a time.

    :raises ValueError: when the file is cut off, or a field is longer than :data:`LONGEST`.
    """
    reader = fields(file)
    for first in reader:
        second = next(reader, None)
        if second is None:
            raise ValueError(f"cut off after {first[:80]!r}")
        yield first, second


def dotted(key: bytes) -> bytes:
    """Return the path of a key: ``b"./a/b"``, or ``b"."`` for the root."""
    return b"./" + path_of(key) if key else b"."


def key_of_dotted(path: bytes) -> bytes:
    """Return the key of a path that may have ``./`` before it; ``b""`` for the root.

    :raises ValueError: when it is no path below the root, or is not in its plainest form.
    """
    if path == b".":
        return b""
    path = path.removeprefix(b"./")
    if _NOT_PLAIN.search(path) or not path:
        raise ValueError(f"{path[:4096]!r} is not a path in a backup")
    return path.replace(b"/", b"\0")
