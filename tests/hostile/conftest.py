"""The world that a hostile client is let loose on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cya.config.root import RootConfig
from tests.hostile.world import World, open_to_all


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    with open_to_all() as base:
        yield lambda **settings: World(base, RootConfig(**settings))


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
