"""The engine that a client's config names."""

from __future__ import annotations

from pathlib import Path

from cya.client.places import private_cache
from cya.config.client import ClientConfig
from cya.engine.protocol import Engine
from cya.engine.registry import engine_named


def engine_of(config: ClientConfig) -> Engine:
    """Return the engine that the config names.

    :raises ConfigError: when there is no such engine.
    """
    return engine_named(config.engine, private_cache(config), config.gnupg_home, config.duplicity)


def reader(scratch: Path) -> Engine:
    """Return an engine for restoring without a config.

    :param scratch: a private directory for what it keeps while it works.
    """
    return engine_named("native", scratch)
