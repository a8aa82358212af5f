"""Reads of a volume only what is wanted, where our own writer has left an index at its end."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from isal import igzip_lib

from cya.engine.native.reading.opening import FileDamaged, Opener, Read
from cya.format import volume_index
from cya.format.openpgp_reader import NotForUs
from cya.format.openpgp_sections import SectionReader
from cya.format.volume_index import IndexDamaged, Place

_AT_ONCE = 1 << 18
_WORTH = 2
"""Where more than one of so many bytes are wanted, a volume is read as a whole."""


@contextmanager
def opened(path: Path, opener: Opener, place: Place | None, wanted: Sequence[bytes]) -> Iterator[Read | None]:
    """Yield what gives the parts of the tar that may hold these keys, or anything below them: all of it is proved.

    None is yielded where the volume has to be read as a whole: it has no index, most of it is wanted, or what would be
    read is not what the manifest says.
    """
    if place is None or not wanted or path.suffix != ".gpg":
        yield None
        return
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield _reading(file, opener, place, wanted)
    finally:
        os.close(file)


def _reading(file: int, opener: Opener, place: Place, wanted: Sequence[bytes]) -> Read | None:
    try:
        reader = SectionReader(partial(os.pread, file), opener.key)
        sections = _wanted(reader, place, wanted)
        if sum(section.length for section in sections) * _WORTH > place.offset:
            return None
        for section in sections:
            _proved(reader, section)
    except (NotForUs, IndexDamaged, OSError):
        return None
    opener.consumed += os.fstat(file).st_size
    pieces = _inflated(reader, sections)
    return lambda _size: next(pieces, b"")


def _wanted(reader: SectionReader, place: Place, wanted: Sequence[bytes]) -> list[Place]:
    index = _proved(reader, place)
    inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    return volume_index.sections(volume_index.parse(inflate.decompress(index, volume_index.LARGEST)), wanted)


def _proved(reader: SectionReader, part: Place) -> bytes:
    """Return what is deflated.

    :raises IndexDamaged: when it is not what it has to be.
    """
    data = reader.read(part.offset, part.length)
    if not hmac.compare_digest(hashlib.sha256(data).digest(), part.digest):
        raise IndexDamaged("a part of the volume is not what the manifest says")
    return data


def _inflated(reader: SectionReader, sections: Sequence[Place]) -> Iterator[bytes]:
    """Yield the parts in pieces of any length; each is proved once more, since the file may be changed meanwhile."""
    for section in sections:
        inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
        try:
            data = _proved(reader, section)
        except (IndexDamaged, OSError) as error:
            raise FileDamaged(f"has been changed while it was read: {error}") from None
        while data or not inflate.needs_input:
            out = inflate.decompress(data, _AT_ONCE)
            data = b""
            if out:
                yield out
