"""Replay: what was spooled while PostgreSQL was away is admitted once more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from zaptrix.bridge.receive.receiver import Receiver
from zaptrix.store.journal.spool import Spool
from zaptrix.web.doors.bitrix24_admission import Admission, NotAdmitted

log = structlog.get_logger(__name__)


class Replay:
    """Safe in several processes at once: an event that is replayed twice is one event, by its key."""

    def __init__(self, spool: Spool, admission: Admission, receiver: Receiver) -> None:
        self._spool = spool
        self._admission = admission
        self._receiver = receiver

    async def waiting(self) -> list[Path]:
        """What waits, oldest first."""
        return await asyncio.to_thread(self._spool.waiting)

    async def one(self, path: Path) -> None:
        """Replay one of `waiting`. Raises StoreUnavailable: then it waits on. UnreadableSecret: then it is to be held.

        Whatever else it raises is for ever.
        """
        spooled = await asyncio.to_thread(self._spool.read, path)
        if spooled is not None:
            try:
                await self._receiver.accept(await self._admission.admit(spooled.body, spooled.request_id))
            except NotAdmitted as exc:
                # Nobody could be asked when it came; now we know that no portal sent it.
                log.warning("dropped a spooled event", reason=str(exc), request_id=spooled.request_id)
        await asyncio.to_thread(self._spool.drop, path)

    async def hold(self, path: Path) -> None:
        """Let one wait apart from the others: its portal's secret cannot be read, which is nobody else's trouble."""
        await asyncio.to_thread(self._spool.hold, path)

    async def unhold(self) -> None:
        """Let those be tried again."""
        await asyncio.to_thread(self._spool.unhold)

    async def set_aside(self, path: Path) -> None:
        """Keep one that cannot be replayed for a person to look at, out of the way of those behind it."""
        await asyncio.to_thread(self._spool.set_aside, path)
