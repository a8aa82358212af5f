"""Reads the records of ``list-current-files``."""

from __future__ import annotations

import calendar
import os
import re
import time
from collections.abc import Iterable, Iterator
from typing import Literal, cast, get_args

from cya.engine.duplicity_log import Record, file_entry
from cya.engine.protocol import Entry

_FILE_LIST = 10
_Type = Literal["reg", "dir", "sym", "fifo", "sock", "chr", "blk"]
_FOR_PEOPLE = re.compile(r"(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}) (.+)", re.S)


def listed(records: Iterable[Record]) -> Iterator[Entry]:
    """Yield entries in duplicity's order; those whose names are not UTF-8 at the end."""
    unknown: list[tuple[bytes, int]] = []
    for record in records:
        if record.level == "INFO" and record.code == _FILE_LIST:
            found = file_entry(record.extra)
            if found is not None and found[2] in get_args(_Type):
                yield Entry(found[1], cast("_Type", found[2]), _seconds(found[0], "%Y%m%dT%H%M%SZ"))
        elif not record.level:
            shown = _FOR_PEOPLE.fullmatch(record.message)
            if shown:
                unknown.append((os.fsencode(shown[2]), _seconds(shown[1], "%a %b %d %H:%M:%S %Y")))
    parents = {path.rpartition(b"/")[0] for path, _ in unknown}
    for path, mtime in unknown:
        yield Entry(path, "dir" if path in parents else "reg", mtime)


def _seconds(text: str, form: str) -> int:
    return calendar.timegm(time.strptime(text, form))
