"""``hardlinks.txtz``: records ``INODE COUNT ./PATH``, a record for each name of a file that has several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from cya.metadata.records import dotted, fields, key_of_dotted

_RECORD = re.compile(rb"([0-9]{1,20}(?:\.[0-9]{1,10})?) ([0-9]{1,10}) (.+)", re.DOTALL)


def record(inode: bytes, count: int, key: bytes) -> bytes:
    """Write a record, with the zero byte that ends it.

    :param inode: tells the sets of names apart: ``b"12"``, or ``b"12.1"`` where another device has the number too.
    :param count: of names in all, of which some may not be in the backup.
    """
    return b"%s %d %s\0" % (inode, count, dotted(key))


def parse(file: BinaryIO) -> Iterator[tuple[bytes, int, bytes]]:
    """Read the records: what tells the sets apart, the count of names in all, and a key.

    :raises ValueError: when the file is cut off, or holds what is not a record.
    """
    for field in fields(file):
        found = _RECORD.fullmatch(field)
        if found is None:
            raise ValueError(f"{field[:80]!r} is not a name of a file with several")
        yield found[1], int(found[2]), key_of_dotted(found[3])
