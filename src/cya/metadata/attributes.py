r"""``attr.txt``: extended attributes as ``getfattr -h -m . -d`` writes them in the C locale.

A value that can mostly be printed is text in double quotes, with ``\ooo`` for zero bytes and ends of lines, ``\"`` and
``\\``; any other is base64 after ``0s``. Names and values are always on one line. Read from attr 2.5.1.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence

from cya.metadata.quoting import quoted, quoted_attribute, unquoted

Attributes = list[tuple[bytes, bytes]]
"""Names, such as ``b"user.mime_type"``, and values."""

_PRINTABLE = bytes(range(0x20, 0x7F))
_IN_TEXT = re.compile(rb"[\0\n\r\\\"]")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[\\\"])")
_FILE = b"# file: "


def stanza(path: bytes, attributes: Sequence[tuple[bytes, bytes]], *, lossless: bool = False) -> bytes:
    """Write what getfattr prints for a file; nothing where there are no attributes.

    :param path: as it is to stand there: relative, without ``./`` before it.
    :param lossless: getfattr drops a zero byte at the end of a text; write such a value in base64 instead, which
        setfattr reads as well.
    """
    if not attributes:
        return b""
    lines = [_FILE + quoted(path)]
    lines += [quoted_attribute(name) + b"=" + _written(value, lossless) for name, value in sorted(attributes)]
    return b"\n".join(lines) + b"\n\n"


def parse(lines: Iterable[bytes]) -> Iterator[tuple[bytes, Attributes]]:
    """Read what getfattr wrote: paths, unchecked, and what they have, in the order of the text.

    :param lines: a file, or lines with or without their ends.
    :raises ValueError: on an attribute before any file, or a value that setfattr would not take.
    """
    path: bytes | None = None
    attributes: Attributes = []
    for number, whole in enumerate(lines, 1):
        line = whole.rstrip(b"\n")
        if line.startswith(_FILE):
            if path is not None:
                yield path, attributes
            path, attributes = unquoted(line[len(_FILE) :]), []
        elif line and not line.startswith(b"#"):
            if path is None:
                raise ValueError(f"line {number}, {line[:80]!r}, belongs to no file")
            name, _, value = line.partition(b"=")
            try:
                attributes.append((unquoted(name), _read(value)))
            except ValueError as error:
                raise ValueError(f"{path!r}: the value of {name!r} cannot be read: {error}") from None
    if path is not None:
        yield path, attributes


def _written(value: bytes, lossless: bool) -> bytes:
    text = value.removesuffix(b"\0")
    # getfattr's own rule: text where no more than one byte in eight cannot be printed.
    if 8 * len(text.translate(None, _PRINTABLE)) > len(text) or (lossless and text != value):
        return b"0s" + base64.b64encode(value)
    return b'"' + _IN_TEXT.sub(_escape, text) + b'"'


def _escape(found: re.Match[bytes]) -> bytes:
    byte = found[0]
    return b"\\" + byte if byte in (b"\\", b'"') else b"\\%03o" % byte[0]


def _read(value: bytes) -> bytes:
    if value[:2] in (b"0s", b"0S"):
        return base64.b64decode(value[2:], validate=True)
    if value[:2] in (b"0x", b"0X"):
        return bytes.fromhex(value[2:].decode("ascii"))
    if len(value) >= 2 and value.startswith(b'"') and value.endswith(b'"'):
        value = value[1:-1]
    if b"\\" not in value:
        return value
    return _ESCAPE.sub(_unescape, value)


def _unescape(found: re.Match[bytes]) -> bytes:
    word = found[1]
    return word if word in (b"\\", b'"') else bytes([int(word, 8) & 0xFF])
