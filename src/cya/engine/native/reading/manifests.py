"""Reads what manifests say of volumes; the lists of files in them, which may be long, are passed over."""

from __future__ import annotations

import re

from cya.engine.native.reading.opening import FileDamaged, Read
from cya.format.manifest import Manifest, ManifestError, parse

_AT_ONCE = 1 << 18
_MOST = 1 << 26
"""Bytes without the list of files: some 200,000 volumes."""
_LIST = re.compile(rb"^Filelist [0-9]+\n", re.M)
_AFTER = re.compile(rb"^(?! )", re.M)


def volumes_of(read: Read) -> Manifest:
    """Read a manifest without its list of files.

    :raises FileDamaged: when it is malformed, or not whole.
    """
    kept, waiting, within = [], b"", False
    size = 0
    while True:
        data = read(_AT_ONCE)
        text = waiting + data
        # Only whole lines; the end of the last one may be the end of the file.
        cut = text.rfind(b"\n") + 1 if data else len(text)
        text, waiting = text[:cut], text[cut:]
        while text:
            found = (_AFTER if within else _LIST).search(text)
            if found is not None and within and found.start() == len(text):
                found = None
            if not within:
                part = text[: found.start()] if found else text
                kept.append(part)
                size += len(part)
            text = text[found.end() :] if found else b""
            within = within != (found is not None)
        if size > _MOST or len(waiting) > _MOST:
            raise FileDamaged("it does not end")
        if not data:
            break
    try:
        return parse(b"".join(kept))
    except ManifestError as error:
        raise FileDamaged(str(error)) from None
