r"""Paths as manifests write them: ``plain/path``, or ``"with\x20blank"`` in double quotes.

Quoted is what holds ASCII white space, a backslash or a quote of either sort; those bytes become ``\xNN`` and all
others, UTF-8 or not, stay as they are. So a quoted path has no blank and no end of line. Read from what duplicity
0.8.22 and 3.2.1 write.
"""

from __future__ import annotations

import re

_SPECIAL = re.compile(rb"[ \t\n\r\v\f\\\"']")
_QUOTED = re.compile(rb'"((?:[^\\"]|\\x[0-9a-fA-F]{2})*)"')
_ESCAPE = re.compile(rb"\\x(..)")


def quote(path: bytes) -> bytes:
    """Write a path so that it is one word."""
    if _SPECIAL.search(path) is None:
        return path
    return b'"' + _SPECIAL.sub(lambda found: b"\\x%02x" % found[0][0], path) + b'"'


def unquote(word: bytes) -> bytes:
    """Read a word that :func:`quote` wrote.

    :raises ValueError: when it begins with a double quote and does not end with one, or holds an escape that is not
        ``\\xNN``.
    """
    if not word.startswith(b'"'):
        return word
    found = _QUOTED.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is not well quoted")
    return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode("ascii")), found[1])
