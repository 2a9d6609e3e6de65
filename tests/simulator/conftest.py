from collections.abc import AsyncIterator

import pytest

from tests.simulator.stage import Stage
from zaptrix_sim.settings import Options


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The simulator with no latency of its own, and a listener where the gateway would be."""
    options = Options(meta_latency_s=0.0, item_latency_s=0.0, status_sent_s=0.005, status_delivered_s=0.01)
    async with Stage(options) as ready:
        yield ready
