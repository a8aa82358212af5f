"""One declaration of each config key: the type and limits, what is expected in words, the comment, an example.

::

    class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        volume_size: Annotated[int, key("an integer from 1 to 9 (MiB)", "Size of a volume.", ge=1, le=9)] = 5

A field without a declaration is not a key of the file: the program fills it in.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Key:
    """A key of a config file.

    :ivar type: as annotated in the struct, limits included.
    :ivar default: the struct's, or ``msgspec.NODEFAULT``.
    :ivar expected: completes "expected …" in a message.
    :ivar comment: what stands above it in a file that cya writes.
    :ivar example: shown, commented out, where the key is not set; None shows the default.
    :ivar check: tells whether a value of the right type will do; it may raise ValueError with a message of its own.
        A named function: a lambda in an annotation would not find the names of its module.
    """

    name: str
    type: Any
    default: Any
    expected: str
    comment: str
    example: Any
    check: Check | None

    @property
    def table(self) -> type[msgspec.Struct] | None:
        """The struct of a key that is a table."""
        return _struct(typing.get_args(self.type)[0])

    @property
    def tables(self) -> type[msgspec.Struct] | None:
        """The struct of a key that is a table of tables, each under a name that the administrator gives."""
        kind = typing.get_args(self.type)[0]
        return _struct(typing.get_args(kind)[1]) if typing.get_origin(kind) is dict else None


def _struct(kind: Any) -> type[msgspec.Struct] | None:
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def key(expected: str, comment: str, *, example: Any = None, check: Check | None = None, **limits: Any) -> msgspec.Meta:
    """Declare a key; for the fields see :class:`Key`, for ``limits`` :class:`msgspec.Meta`."""
    return msgspec.Meta(extra={"declared": (expected, comment, example, check)}, **limits)


@cache
def keys(kind: type[msgspec.Struct]) -> tuple[Key, ...]:
    """Return the keys that a struct declares, in their order."""
    found = []
    for field in msgspec.structs.fields(kind):
        for meta in getattr(field.type, "__metadata__", ()):
            if isinstance(meta, msgspec.Meta) and meta.extra and "declared" in meta.extra:
                default = field.default_factory if field.default is msgspec.NODEFAULT else field.default
                found.append(Key(field.name, field.type, default, *meta.extra["declared"]))
    return tuple(found)


def names_file(path: Path) -> bool:
    """Whether a path can be that of a file: the check of keys that name one."""
    return path != Path() and "\0" not in str(path)
