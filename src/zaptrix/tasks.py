"""Tasks that go on beside others until they are told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

_AGAIN_S = 2.0  # longer than an ending takes, which a further cancellation would cut off


async def ended(tasks: Collection[asyncio.Task[None]], again_s: float = _AGAIN_S) -> None:
    """Cancel `tasks` and return when all have ended, however they end.

    More than once: up to Python 3.11 asyncio.wait_for, which waits for each connection of a pool, loses a cancellation
    that comes in the moment of its answer. A worker that was told to stop while PostgreSQL was away went on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_s)
