"""Replay: what was spooled while PostgreSQL was away goes through the door once more."""

from __future__ import annotations

import asyncio

import structlog

from zaptrix.bitrix24.webhook import BadForm
from zaptrix.bridge.admit import Admission, NotAdmitted
from zaptrix.bridge.receive import Receiver
from zaptrix.store.spool import Spool

log = structlog.get_logger(__name__)


class Replay:
    """Safe in several processes at once: an event that is replayed twice is one event, by its key."""

    def __init__(self, spool: Spool, admission: Admission, receiver: Receiver) -> None:
        self._spool = spool
        self._admission = admission
        self._receiver = receiver

    async def run(self) -> int:
        """Replay what waits, oldest first; how many events there were. Raises StoreUnavailable: the rest waits on."""
        waiting = await asyncio.to_thread(self._spool.waiting)
        for path in waiting:
            try:
                spooled = await asyncio.to_thread(self._spool.read, path)
                if spooled is not None:
                    await self._receiver.accept(await self._admission.admit(spooled.body, spooled.request_id))
            except NotAdmitted as exc:
                # Nobody could be asked when it came; now we know that it was a stranger's.
                log.warning("dropped a spooled event", reason=str(exc))
            except (BadForm, ValueError) as exc:
                await asyncio.to_thread(self._spool.set_aside, path)
                log.warning("set a spooled event aside", reason=type(exc).__name__, file=path.name, alarm=True)
                continue
            await asyncio.to_thread(self._spool.drop, path)
        if waiting:
            log.info("replayed the spool", events=len(waiting))
        return len(waiting)
