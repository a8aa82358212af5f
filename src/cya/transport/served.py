"""Tells what the archive served from what an upload left."""

from __future__ import annotations

from collections.abc import Iterable

from cya.format.collection import collect


def served(names: Iterable[bytes]) -> frozenset[bytes]:
    """Return the names that the archive served: whole metadata without a volume. An upload begins with a volume."""
    return frozenset(name for files in collect(names).sets if files.is_metadata_only for name in files.metadata)
