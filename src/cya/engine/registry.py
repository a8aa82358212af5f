"""Engines by the name that stands in a config. Only the one that is asked for is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cya.engine.protocol import Engine
from cya.errors import ConfigError

Maker = Callable[[Path, "Path | None", "str | None"], Engine]


def _duplicity(cache: Path, gnupg_home: Path | None, program: str | None) -> Engine:
    from cya.engine.duplicity import Duplicity

    return Duplicity(program, cache, gnupg_home)


def _native(cache: Path, gnupg_home: Path | None, program: str | None) -> Engine:
    from cya.engine.native.native import Native

    return Native(program, cache, gnupg_home)


_MAKERS: dict[str, Maker] = {"native": _native, "duplicity": _duplicity}


def engine_named(name: str, cache: Path, gnupg_home: Path | None = None, program: str | None = None) -> Engine:
    """Return the engine of a name, with its private directory.

    :param program: of an engine that drives one; None: as it is called, from the PATH.
    :raises ConfigError: when there is none of this name.
    """
    if name not in _MAKERS:
        raise ConfigError(f"engine {name!r}: there is no such engine; there is: {', '.join(sorted(_MAKERS))}")
    return _MAKERS[name](cache, gnupg_home, program)
