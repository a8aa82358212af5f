r"""Names as getfacl and getfattr write them: ends of lines as ``\ooo``, backslashes alike or doubled.

So a name is always on one line; all other bytes stay, blanks and what is not UTF-8 too. Read from ``quote`` and
``unquote`` in attr 2.5.1 and acl 2.3.1, which do not agree on backslashes. Older programs also escaped blanks and what
cannot be printed; :func:`unquoted` reads that too.
"""

from __future__ import annotations

import re

_IN_PATHS = re.compile(rb"[\\\n\r]")
_IN_ATTRIBUTES = re.compile(rb"[\\\n\r=]")
_ESCAPE = re.compile(rb"\\(\\|[0-7]{3})")


def quoted(path: bytes) -> bytes:
    """Write a path as getfattr does after ``# file:`` and a blank: a backslash is ``\\134``, which setfacl reads."""
    return _IN_PATHS.sub(_escape, path)


def quoted_in_acl(path: bytes) -> bytes:
    """Write a path as getfacl does: a backslash is doubled. setfattr would read two backslashes."""
    return quoted(path).replace(rb"\134", rb"\\")


def quoted_attribute(name: bytes) -> bytes:
    """Write the name of an extended attribute: the equals sign, which ends it, is escaped too."""
    return _IN_ATTRIBUTES.sub(_escape, name)


def unquoted(word: bytes) -> bytes:
    """Read what these wrote; a backslash that begins no escape stands for itself, as it does for the programs."""
    if b"\\" not in word:
        return word
    return _ESCAPE.sub(_unescape, word)


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\%03o" % found[0][0]


def _unescape(found: re.Match[bytes]) -> bytes:
    return found[1] if found[1] == b"\\" else bytes([int(found[1], 8) & 0xFF])
