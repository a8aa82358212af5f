"""Signatures that were made to take long: blocks by the thousand that share a weak sum.

librsync compares with every block of the same weak sum: for each byte of the new file, and for each block when it reads
the signature. In a signature of a real file few different blocks share one.
"""

from __future__ import annotations

from collections import Counter

MANY = 4096
"""So many blocks cost little, whatever their sums are."""
SHARED = 64
"""More different blocks of one weak sum are not looked for."""

_WEAK_LENGTH = 4


def thinned(data: bytes, head_size: int, strong_length: int) -> bytes:
    """Return a signature in which at most :data:`SHARED` different blocks have the same weak sum.

    Each of the others is given the sums of the first block of the file: it will not be found, and the rest stay what
    and where they are. A signature of at most :data:`MANY` blocks is returned as it is.
    """
    step = _WEAK_LENGTH + strong_length
    if len(data) - head_size <= MANY * step:
        return data
    different = {data[at : at + step] for at in range(head_size, len(data), step)}
    if max(Counter(sums[:_WEAK_LENGTH] for sums in different).values()) <= SHARED:
        return data
    return _without(data, head_size, step)


def _without(data: bytes, head_size: int, step: int) -> bytes:
    first = data[head_size : head_size + step]
    left = bytearray(data)
    kept: dict[bytes, set[bytes]] = {}
    for at in range(head_size, len(data), step):
        sums = data[at : at + step]
        there = kept.setdefault(sums[:_WEAK_LENGTH], set())
        if sums not in there and len(there) == SHARED:
            left[at : at + step] = first
        else:
            there.add(sums)
    return bytes(left)
