"""Keys: paths relative to the source with zero bytes between their components, so that they sort in Duplicity's order.

``a/b`` comes before ``a-b``, and what lies in a directory right after it. The source itself is ``b""``.
"""

from __future__ import annotations


def key_of(path: bytes) -> bytes:
    """Return the key of a path without a slash at its ends; the source is ``b"."`` or ``b""``."""
    return path.replace(b"/", b"\0") if path != b"." else b""


def path_of(key: bytes) -> bytes:
    """Return the path of a key; the source is ``b"."``."""
    return key.replace(b"\0", b"/") or b"."
