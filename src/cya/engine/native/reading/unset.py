"""What people are told of attributes that could not be set: once for many files."""

from __future__ import annotations

import os

from cya.engine.protocol import Lost
from cya.format.key import path_of

NOT_SET = "not set: "
WAS_CHANGED = "the file was changed while the backup ran, so they are where its zeros are"
_EXPECTED = ("only root can set them", WAS_CHANGED)


def told_of(unset: dict[str, tuple[int, bytes]]) -> tuple[list[str], list[Lost]]:
    """Return notes on what nobody expects to be set, and what should have been set and is not.

    :param unset: what, of how many things, and the key of the first.
    """
    notes, lost = [], []
    for what, (count, key) in sorted(unset.items()):
        if what.endswith(_EXPECTED):
            notes.append(f"{what} ({count:,} files)")
        else:
            more = f" (and {count - 1:,} others)" if count > 1 else ""
            lost.append(Lost(os.fsdecode(path_of(key)) + more, f"{NOT_SET}{what}"))
    return notes, lost
