"""How often Python looks for garbage."""

from __future__ import annotations

import gc

_NEW_OBJECTS = 100_000


def collect_seldom() -> None:
    """Look for cycles of garbage after so many new objects, and not after 700, at the beginning of a process.

    Ours makes millions of small objects that no cycle keeps alive: looking for some took a twentieth of its time.
    """
    gc.set_threshold(_NEW_OBJECTS)
