"""Heartbeat: this worker's lease, renewed every two seconds, and a look at whose has run out.

It has a connection of its own, so that it never waits behind the work of its process. Who cannot renew begins no
call any more, and gives up what is under way before the others may take it over (`zaptrix.deadlines`). Who was ended by
another meanwhile, as it stood still, goes on as a new worker.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

import zaptrix
from zaptrix.core.ids import WorkerId
from zaptrix.core.limits import WORKER_AGAIN_SHARE, WORKER_LEASE_S, WORKER_RENEW_SHARE
from zaptrix.deadlines import Stopping, new_worker_id
from zaptrix.elapsed import elapsed_s
from zaptrix.settings import Settings
from zaptrix.store.connection.database import Database, StoreUnavailable, open_database
from zaptrix.store.processes import workers
from zaptrix.store.processes.workers import WorkerPlace
from zaptrix.tasks import ended
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

_ANSWER_SHARE = 0.3  # of the lease, for one answer of PostgreSQL's


class Heartbeat:
    """`begin` before anything is claimed, `keep` beside the work, `leave` when nothing is claimed any more."""

    def __init__(
        self, database: Database, stopping: Stopping, lease_s: float, take_over: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._stopping = stopping
        self._lease_s = lease_s
        self._take_over = take_over  # what ended workers held
        self._taking: asyncio.Task[None] | None = None
        self._id: WorkerId | None = None  # None: not registered
        self._told = False  # that it was missed

    async def begin(self) -> None:
        """Register. While PostgreSQL is away nothing can be claimed, and `keep` makes up for it."""
        await self._beat()

    async def keep(self) -> None:
        """Until cancelled."""
        try:
            while True:
                in_time = await self._beat()
                await asyncio.sleep(self._lease_s * (WORKER_RENEW_SHARE if in_time else WORKER_AGAIN_SHARE))
        finally:
            if self._taking is not None:
                await ended([self._taking])

    async def leave(self) -> None:
        """Whatever is still claimed is others' at once."""
        if self._id is not None:
            try:
                async with self._database.within(self._answer_s) as connection:
                    await workers.leave(connection, self._id)
            except StoreUnavailable as exc:
                log.warning("worker not signed off", reason=str(exc))

    async def _beat(self) -> bool:
        """Whether others know now that we live."""
        try:
            await (self._register() if self._id is None else self._renew(self._id))
        except StoreUnavailable as exc:
            self._missed(str(exc))
        except Exception as exc:
            # A worker without a heartbeat would do nothing more, and nobody would know.
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("heartbeat failed", alarm=True)
            self._missed(type(exc).__name__)
        else:
            self._told = False
            return self._id is not None
        return False

    def _missed(self, reason: str) -> None:
        if self._stopping.worker.left_s == 0:
            self._stopping.give_up()
        if not self._told:
            log.warning("no heartbeat", reason=reason)
        self._told = True

    @property
    def _answer_s(self) -> float:
        """No longer than until our lease is over."""
        patience_s = self._lease_s * _ANSWER_SHARE
        left_s = self._stopping.worker.left_s
        return min(patience_s, left_s) if left_s > 0 else patience_s

    async def _register(self) -> None:
        worker, asked_s = new_worker_id(), elapsed_s()
        place = WorkerPlace(socket.gethostname(), os.getpid())
        async with self._database.within(self._answer_s) as connection:
            await workers.register(connection, worker, self._lease_s, place, zaptrix.__version__)
        self._id = worker
        self._stopping.worker.registered(worker, asked_s, self._lease_s)

    async def _renew(self, worker: WorkerId) -> None:
        asked_s = elapsed_s()
        async with self._database.within(self._answer_s) as connection:
            renewal = await workers.renew(connection, worker, self._lease_s)
            if renewal is None:
                self._lost()
                return
            self._stopping.worker.renewed(asked_s, self._lease_s)
            late = await workers.end_late(connection) if renewal.others_late else []
        for place in late:
            log.warning("worker is gone", host=place.host, pid=place.pid)
        if late and (self._taking is None or self._taking.done()):
            self._taking = asyncio.create_task(self._take_over_now(), name="take over")

    def _lost(self) -> None:
        self._id = None
        self._stopping.worker.lost()
        self._stopping.give_up()
        log.warning("worker was taken for dead", reason="it did not renew its lease in time")

    async def _take_over_now(self) -> None:
        try:
            await self._take_over()
        except StoreUnavailable as exc:  # the next sweep does it
            log.warning("taking over put off", reason=str(exc))


@asynccontextmanager
async def beating(
    settings: Settings, stopping: Stopping, take_over: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """This process is a worker. Leave the block when nothing is claimed any more."""
    lease_s = min(WORKER_LEASE_S, settings.claim_lease_s)
    database = await open_database(settings.database_url, pooled=settings.is_pooled, pool_max=1)
    try:
        heartbeat = Heartbeat(database, stopping, lease_s, take_over)
        await heartbeat.begin()
        keeping = asyncio.create_task(heartbeat.keep(), name="heartbeat")
        try:
            yield
        finally:
            await ended([keeping])
            await heartbeat.leave()
    finally:
        await database.close()
