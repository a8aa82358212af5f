"""Duplicity's file names, read and made.

::

    duplicity-full.TIME.volN.difftar[.gz|.gpg|.p7m]          duplicity-inc.START.to.END.volN.difftar…
    duplicity-full-signatures.TIME.sigtar…                   duplicity-new-signatures.START.to.END.sigtar…
    duplicity-full.TIME.manifest…                            duplicity-inc.START.to.END.manifest…
    duplicity-full.TIME.jsonstat…                            duplicity-inc.START.to.END.jsonstat…

``.part`` before the suffix marks what a run has not finished. The same words with local times are the style of
``--old-filenames``. ``df.TIME.N.dt``, ``dfs.TIME.st``, ``df.TIME.m`` and ``di.START.END.N.dt``, ``dns.START.END.st``,
``di.START.END.m``, all numbers in base 36, with ``.p`` and ``.g`` or ``.z``, are that of ``--short-filenames``.

Read from what duplicity 0.8.22 and 3.2.1 write. Duplicity's own reading is looser: it takes anything after
``.difftar.``, any number of zeros before a volume's number, lower case. Here only names that duplicity writes are
read, so that one increment has one name for each of its files, and ``make(parse(name)) == name`` always holds.
The prefixes of ``--file-prefix*`` are not supported by cya: such names are foreign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cya.format.file_name import FileName, Kind, OldStyle, Style
from cya.format.times import (
    LocalTime,
    local_time_from_name,
    local_time_to_name,
    time_from_name,
    time_to_name,
    to_base36,
)

__all__ = [
    "MAX_VOLUME",
    "FileName",
    "Kind",
    "OldStyle",
    "Style",
    "make",
    "manifest",
    "parse",
    "parse_strict",
    "sigtar",
    "time_from_name",
    "time_to_name",
    "volume",
]

MAX_VOLUME = 999_999_999
"""The highest volume number that is read or made: nine digits."""

_MAX_LENGTH = 128
"""Bytes; the longest name that can be made, a volume of an old-style increment, has 98."""


def make(name: FileName) -> bytes:
    """Write a file name in its style; the inverse of :func:`parse`.

    :raises ValueError: when there is no such name: a volume without a number or a number without a volume, a time or
        an offset that cannot be written, a suffix or a kind that the style does not have.
    """
    if (name.kind is Kind.VOLUME) != (name.volume is not None):
        raise ValueError(f"a volume, and nothing else, has a volume number: {name}")
    if name.volume is not None and not 1 <= name.volume <= MAX_VOLUME:
        raise ValueError(f"volume number {name.volume} is not between 1 and {MAX_VOLUME}")
    parts = _short_parts(name) if name.style is Style.SHORT else _long_parts(name)
    return b"".join(parts)


@lru_cache(maxsize=1 << 16)
def parse(name: bytes) -> FileName | None:
    """Read a file name in any style that duplicity writes; None when it is not Duplicity's.

    Remembered, since a tree holds each name in several directories.

    The whole name has to match: a path, a newline at the end or any other junk makes it foreign.
    """
    if len(name) > _MAX_LENGTH:
        return None
    try:
        read = _read_short(name) or _read_long(name)
        # What the patterns let through and duplicity never writes (vol01, a full with a start, a manifest of
        # signatures) does not come out again as it went in.
        return read if read is not None and make(read) == name else None
    except ValueError:
        return None


def parse_strict(name: bytes) -> FileName | None:
    """Read a file name that an archive takes in; None for any other.

    That is: the current style, nothing partial, plain or ``.gz`` or ``.gpg``, and an increment ends after it starts.
    All that is left to choose are the kind, the times and the volume's number, each in one way of writing.
    """
    read = parse(name)
    if read is None or read.partial or read.style is not Style.CURRENT or read.suffix == b".p7m":
        return None
    if read.start is not None and read.end <= read.start:
        return None
    return read


def volume(start: int | None, end: int, number: int, suffix: bytes) -> bytes:
    """Name a volume in the current style. Arguments and errors are those of :class:`FileName` and :func:`make`."""
    return make(FileName(Kind.VOLUME, start, end, number, suffix))


def sigtar(start: int | None, end: int, suffix: bytes) -> bytes:
    """Name a sigtar in the current style. Arguments and errors are those of :class:`FileName` and :func:`make`."""
    return make(FileName(Kind.SIGTAR, start, end, None, suffix))


def manifest(start: int | None, end: int, suffix: bytes) -> bytes:
    """Name a manifest in the current style. Arguments and errors are those of :class:`FileName` and :func:`make`."""
    return make(FileName(Kind.MANIFEST, start, end, None, suffix))


_LONG_SUFFIXES = (b"", b".gz", b".gpg", b".p7m")
_LONG_TIME = rb"[0-9]{4}[0-9TZ!-.:-@\[-`{-~]{12,21}?"
_LONG = re.compile(
    rb"duplicity-(?:full|inc|full-signatures|new-signatures)"
    rb"\.(?P<first>%b)(?:\.to\.(?P<second>%b))?"
    rb"\.(?:vol(?P<volume>[0-9]{1,9})\.)?(?P<kind>difftar|sigtar|manifest|jsonstat)"
    rb"(?P<partial>\.part)?(?P<suffix>\.gz|\.gpg|\.p7m|)" % (_LONG_TIME, _LONG_TIME)
)


def _long_parts(name: FileName) -> Iterator[bytes]:
    if name.suffix not in _LONG_SUFFIXES:
        raise ValueError(f"duplicity does not write the suffix {name.suffix!r}")
    if name.kind is Kind.SIGTAR:
        yield b"duplicity-full-signatures." if name.is_full else b"duplicity-new-signatures."
    else:
        yield b"duplicity-full." if name.is_full else b"duplicity-inc."
    times = _times(name)
    if isinstance(name.style, OldStyle):
        local = zip(times, name.style.offsets, strict=True)
        yield b".to.".join(local_time_to_name(LocalTime(*time, name.style.separator)) for time in local)
    else:
        yield b".to.".join(map(time_to_name, times))
    if name.volume is not None:
        yield b".vol%d" % name.volume
    yield b"." + name.kind.value + (b".part" if name.partial else b"") + name.suffix


def _read_long(name: bytes) -> FileName | None:
    found = _LONG.fullmatch(name)
    if found is None:
        return None
    texts = [text for text in (found["first"], found["second"]) if text is not None]
    times: list[int]
    style: Style | OldStyle = Style.CURRENT
    if len(texts[0]) == len(b"20121202T000000Z"):
        times = [time_from_name(text) for text in texts]
    else:
        local = [local_time_from_name(text) for text in texts]
        times = [time.time for time in local]
        style = OldStyle(tuple(time.offset for time in local), local[0].separator)
    return FileName(
        kind=Kind(found["kind"]),
        start=times[0] if len(times) == 2 else None,
        end=times[-1],
        volume=int(found["volume"]) if found["volume"] else None,
        suffix=found["suffix"],
        partial=bool(found["partial"]),
        style=style,
    )


_SHORT_KINDS = {b"dt": Kind.VOLUME, b"st": Kind.SIGTAR, b"m": Kind.MANIFEST}
_SHORT_WORDS = {kind: word for word, kind in _SHORT_KINDS.items()}
_SHORT_SUFFIXES = {b"": b"", b".z": b".gz", b".g": b".gpg"}
_SHORT_ENDINGS = {suffix: ending for ending, suffix in _SHORT_SUFFIXES.items()}
_SHORT = re.compile(
    rb"(?P<head>df|dfs|di|dns)\.(?P<numbers>[0-9a-z]{1,9}(?:\.[0-9a-z]{1,9}){0,2})\.(?P<kind>dt|st|m)"
    rb"(?P<partial>\.p)?(?P<ending>\.g|\.z|)"
)


def _short_parts(name: FileName) -> Iterator[bytes]:
    if name.kind not in _SHORT_WORDS or name.suffix not in _SHORT_ENDINGS:
        raise ValueError(f"the short style has no {name.kind.name.lower()} with suffix {name.suffix!r}")
    if name.kind is Kind.SIGTAR:
        yield b"dfs." if name.is_full else b"dns."
    else:
        yield b"df." if name.is_full else b"di."
    for time in _times(name):
        time_to_name(time)  # refuses what is out of range
        yield to_base36(time) + b"."
    if name.volume is not None:
        yield to_base36(name.volume) + b"."
    yield _SHORT_WORDS[name.kind] + (b".p" if name.partial else b"") + _SHORT_ENDINGS[name.suffix]


def _read_short(name: bytes) -> FileName | None:
    found = _SHORT.fullmatch(name)
    if found is None:
        return None
    kind = _SHORT_KINDS[found["kind"]]
    numbers = [int(number, 36) for number in found["numbers"].split(b".")]
    number = numbers.pop() if kind is Kind.VOLUME else None
    if len(numbers) != (1 if found["head"] in (b"df", b"dfs") else 2):
        return None
    start = numbers[0] if len(numbers) == 2 else None
    suffix = _SHORT_SUFFIXES[found["ending"]]
    return FileName(kind, start, numbers[-1], number, suffix, bool(found["partial"]), Style.SHORT)


def _times(name: FileName) -> tuple[int, ...]:
    return (name.end,) if name.start is None else (name.start, name.end)
