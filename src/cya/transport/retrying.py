"""Tries again what failed because a connection broke."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from cya.transport.patience import Patience
from cya.transport.trouble import Broken

Result = TypeVar("Result")

AT_FIRST = 60.0
"""Seconds for which the first connection of a run is tried: who has mistyped the port wants to know."""


def persist(act: Callable[[], Result], patience: Patience) -> Result:
    """Do something until it works, or fails for a reason that does not pass, or patience is at its end."""
    while True:
        try:
            result = act()
        except Broken as error:
            if not patience.wait():
                if patience.limit:
                    error.add_note(f"given up after {patience.limit / 60:g} minutes and {patience.tries + 1} tries")
                raise
        else:
            patience.reset()
            return result
