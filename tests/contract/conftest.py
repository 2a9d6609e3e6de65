from collections.abc import AsyncIterator

import pytest

from tests.simulator.stage import Stage
from zaptrix_sim.settings import Options


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The simulator, one update a post: some clients read only the first of a batch."""
    options = Options(meta_latency_s=0.0, item_latency_s=0.0, webhook_batch_max=1)
    async with Stage(options) as ready:
        yield ready
