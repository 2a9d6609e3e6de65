"""Worlds: one that a file shares, where each test has tenants of its own, and worlds of a test's own to break."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proof.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """For tests that break nothing."""
    world = World(folder=tmp_path_factory.mktemp("world"))
    try:
        await world.start(workers=2)
        yield world
    finally:
        await world.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def world(shared_world: World) -> AsyncIterator[World]:
    """The shared world; faults that a failed test left behind are nobody else's."""
    yield shared_world
    await shared_world.heal()


@pytest.fixture
async def own_world(tmp_path: Path) -> AsyncIterator[World]:
    """For tests that kill, flush and restart."""
    world = World(folder=tmp_path)
    try:
        await world.start(workers=2)
        yield world
    finally:
        await world.stop()
