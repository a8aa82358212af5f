"""Finds what a file of pairs says of some paths, without reading all of it: a system may have a line for each file."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from cya.metadata.records import dotted, key_of_dotted


def pairs_of(file: BinaryIO, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs of some paths and of all that lies below them; see :func:`cya.metadata.records.pairs`.

    Only paths begin with ``./``, and the file is in the order of their keys: what lies below a path stands together.

    :param keys: ascending, none of them below another, none that of the root.
    :raises ValueError: when the file is cut off.
    """
    file.seek(0, 2)
    if not file.tell():
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[-1:] != b"\0":
            raise ValueError("cut off")
        for key in keys:
            yield from _below(content, key)


def _below(content: mmap.mmap, key: bytes) -> Iterator[tuple[bytes, bytes]]:
    path = dotted(key)
    places = [place for end in (b"\0", b"/") if (place := content.find(b"\0" + path + end)) >= 0]
    if not places:
        return
    begin = content.rfind(b"\0", 0, min(places)) + 1
    while begin < len(content):
        middle = content.find(b"\0", begin)
        end = content.find(b"\0", middle + 1)
        if end < 0:
            raise ValueError("cut off")
        text, found = content[begin:middle], content[middle + 1 : end]
        below = key_of_dotted(found)
        if below != key and not below.startswith(key + b"\0"):
            return
        yield text, found
        begin = end + 1
