"""The entrance: how many set out at once, so that a process never starts more than it can see through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager


class Entrance:
    """Room for so many at a time, first come, first served.

    Whoever is still inside after `patience_s` waits for a platform and costs nothing meanwhile, so that the place goes
    to the next one: however many platforms do not answer, nobody waits behind them.
    """

    def __init__(self, room: int, patience_s: float) -> None:
        self._room = asyncio.Semaphore(room)
        self._patience_s = patience_s

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now has to wait."""
        return self._room.locked()

    @asynccontextmanager
    async def through(self) -> AsyncIterator[None]:
        """Wait for room, and hold it for as long as the block takes, or `patience_s`."""
        await self._room.acquire()
        held = ExitStack()
        held.callback(self._room.release)  # once: by who goes, or by the clock
        patience = asyncio.get_running_loop().call_later(self._patience_s, held.close)
        try:
            yield
        finally:
            patience.cancel()
            held.close()
