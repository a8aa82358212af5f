"""Reads what manifests say of volumes; the lists of files in them, which may be long, are passed over."""

from __future__ import annotations

import re

from cya.engine.native.reading.opening import FileDamaged, Read
from cya.format.manifest import Manifest, ManifestError, parse

_AT_ONCE = 1 << 18
_MOST = 1 << 26
"""Bytes without the list of files: some 200,000 volumes."""
_LIST = re.compile(rb"^Filelist [0-9]+\n", re.M)
_AFTER = re.compile(rb"\n(?! )")
"""The end of the last line of a list; it is looked for by its first byte, which is fast."""


def _end_of_list(text: bytes) -> int | None:
    """Return where whole lines of a list end and others begin; None where all are of the list."""
    if not text.startswith(b" "):
        return 0
    found = _AFTER.search(text)
    return found.end() if found is not None and found.end() < len(text) else None


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
            if within:
                after = _end_of_list(text)
                within, text = after is None, text[after:] if after is not None else b""
                continue
            found = _LIST.search(text)
            part = text[: found.start()] if found else text
            kept.append(part)
            size += len(part)
            within, text = found is not None, text[found.end() :] if found else b""
        if size > _MOST or len(waiting) > _MOST:
            raise FileDamaged("it does not end")
        if not data:
            break
    try:
        return parse(b"".join(kept))
    except ManifestError as error:
        raise FileDamaged(str(error)) from None
