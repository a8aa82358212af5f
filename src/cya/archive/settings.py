"""A root's settings, for whoever only reads it."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from cya.config import root as root_config
from cya.config.root import RootConfig
from cya.tree.levels import Calendar


def calendar_of(root: Path) -> Calendar:
    """Return how a root's tree is cut.

    :raises ConfigError: when its settings cannot be read.
    """
    return calendar(root_config.load(root))


def calendar(config: RootConfig) -> Calendar:
    """Return the calendar that settings ask for."""
    return Calendar(tuple(config.levels), config.week_start, ZoneInfo(config.timezone))
