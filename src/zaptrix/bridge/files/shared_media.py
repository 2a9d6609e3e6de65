"""One media store for all hosts: each process looks for the mark of the store in use before it works, and says so.

A gateway keeps an API caller's file where a worker of another host looks for it; were those two stores, the file would
never be found, and nobody would be told why. So a process whose store does not hold the mark is refused at its start.
A store in which nobody works any more may be replaced: by a new bucket, or by an empty folder after a restore.
"""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import structlog

from zaptrix.core import limits
from zaptrix.core.installation.faults import Fault, FaultKind, Unfit
from zaptrix.media.blobs import Blobs, BlobsAway
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.store.processes import media_store
from zaptrix.store.processes.media_store import InUse
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)


class OtherStore(Unfit):
    """Another media store is in use."""

    def __init__(self) -> None:
        super().__init__(Fault(FaultKind.MEDIA_OTHER))


async def media_fault(database: Database, blobs: Blobs) -> Fault | None:
    """What is wrong with this host's media store, looked at and left as it is. Raises StoreUnavailable."""
    async with database.connection() as connection:
        known = await media_store.in_use(connection)
    try:
        await blobs.prove()
        if known is None or await blobs.is_marked(known.id.hex) or known.idle_s >= limits.MEDIA_STORE_IDLE_S:
            return None
    except BlobsAway as exc:
        return exc.fault
    return Fault(FaultKind.MEDIA_OTHER)


class SharedMedia:
    """This process's part in the media store."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs
        self._mark: UUID | None = None  # of the store that is ours
        self._idle_s: float | None = None  # how long another's had not been seen when we looked last

    async def join(self) -> None:
        """Before the work begins. Raises Unfit: OtherStore, or what keeps this store from being used.

        Nobody waits for a database or a store that is away: then the look is made up for.
        """
        try:
            await self._blobs.prove()
            while not await self._joined():
                await asyncio.sleep(limits.MEDIA_STORE_LOOK_S)
        except BlobsAway as exc:
            if not exc.fault.may_pass:
                raise Unfit(exc.fault) from exc
            log.warning("media store not looked at", reason=str(exc))
        except StoreUnavailable as exc:
            log.warning("media store not looked at", reason=str(exc))

    async def keep(self) -> None:
        """Run beside the work: seen again and again. Cancel it to stop."""
        while True:
            try:
                await self._joined()
            except OtherStore as exc:
                metrics.alarmed(AlarmKind.MEDIA_STORE)
                log.error("another media store is in use", alarm=True, reason=str(exc))  # noqa: TRY400
            except (StoreUnavailable, BlobsAway) as exc:
                log.warning("media store not looked at", reason=str(exc))
            await asyncio.sleep(limits.MEDIA_STORE_SEEN_S)

    async def _joined(self) -> bool:
        """Whether the store in use is ours, or nobody's, so that ours becomes it. Raises OtherStore when somebody was
        seen who uses another."""
        async with self._database.connection() as connection:
            known = await media_store.in_use(connection)
        if known is not None and (known.id == self._mark or await self._blobs.is_marked(known.id.hex)):
            self._mark = known.id
            async with self._database.connection() as connection:
                return await media_store.see(connection, known.id)
        if known is not None and known.idle_s < limits.MEDIA_STORE_IDLE_S:
            before, self._idle_s = self._idle_s, known.idle_s
            if before is not None and known.idle_s < before:
                raise OtherStore
            return False
        return await self._replaced(known)

    async def _replaced(self, known: InUse | None) -> bool:
        mark = uuid4()
        await self._blobs.mark(mark.hex)
        async with self._database.connection() as connection:
            if known is None:
                done = await media_store.first(connection, mark)
            else:
                done = await media_store.replace(connection, known.id, mark, limits.MEDIA_STORE_IDLE_S)
        if done:
            self._mark = mark
            log.info("media store taken into use", first=known is None)
        return done
