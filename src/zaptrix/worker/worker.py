"""A worker process: answers the bells of its queues until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Sequence
from datetime import timedelta

import structlog
import uvloop

from zaptrix.app import App, open_app
from zaptrix.bridge.files.shared_media import SharedMedia
from zaptrix.broker.queues.workers import LaneWorkers
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.deadlines import WorkerLease
from zaptrix.open_files import allow_open_files
from zaptrix.settings import Settings
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.tasks import ended, spare_the_collector
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.worker.fetching import Fetching
from zaptrix.worker.heartbeat import beating
from zaptrix.worker.metrics_server import serve_metrics
from zaptrix.worker.schedule import chores_of, watches_of
from zaptrix.worker.totals import add_totals, keep_totals

log = structlog.get_logger(__name__)

_AGAIN_S = 5.0


def work(settings: Settings, queues: Sequence[Queue] = tuple(Queue)) -> None:
    """Run until SIGTERM or SIGINT, then finish what is under way. Blocks. Raises OtherStore."""
    metrics.start(settings.metrics_dir)
    allow_open_files()  # a connection to each portal is kept for a while
    uvloop.run(_work(settings, queues))


async def _work(settings: Settings, queues: Sequence[Queue]) -> None:
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    async with open_app(settings) as app, beating(settings, app.stopping, app.sweep.take_over):
        shared_media = SharedMedia(app.database, app.media.blobs)
        await shared_media.join()
        workers = LaneWorkers(settings, queues, Runner(app).drain, app.bells)
        beside = [
            *watches_of(app),
            *map(asyncio.create_task, (keep_totals(app), serve_metrics(settings), shared_media.keep())),
        ]
        await _first_of(app.clock.known(), _told(told_to_stop))
        await workers.start()
        chores = [*chores_of(app), asyncio.create_task(Fetching(app).run())]
        beside.append(asyncio.create_task(_rest_when_out(app.stopping.worker, workers)))
        spare_the_collector()
        log.info("worker ready", queues=[queue.value for queue in queues])
        await told_to_stop.wait()
        log.info("worker stopping")
        asyncio.get_running_loop().call_later(limits.STOP_S_MAX, _cut_short)
        app.stopping.tell(limits.STOP_CALL_S)
        await asyncio.gather(_seen_through(chores), workers.stop())
        for landed in app.landing:
            await landed()
        await ended(beside)
        await add_totals(app)


async def _told(event: asyncio.Event) -> None:
    await event.wait()


async def _first_of(*waits: Coroutine[object, object, None]) -> None:
    tasks = [asyncio.create_task(each) for each in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await ended(tasks)


async def _rest_when_out(lease: WorkerLease, workers: LaneWorkers) -> None:
    """A worker that others take for dead, as it is cut off from PostgreSQL, leaves the bells to them."""
    while True:
        await lease.is_out.wait()
        workers.rest()
        await lease.lasts.wait()
        workers.wake()


async def _seen_through(chores: Sequence[asyncio.Task[None]]) -> None:
    """They were told to stop, and end by themselves unless something hangs."""
    await asyncio.wait(chores, timeout=limits.STOP_S)
    await ended(chores)


def _cut_short() -> None:
    """Whatever hangs: who told us to stop does not wait for it. What was claimed is looked after by the others."""
    log.warning("stopping cut short")
    os._exit(0)


class _LeaseRanOut(Exception):
    """The others take this worker for dead, or may soon."""

    def __init__(self) -> None:
        super().__init__("the lease of this worker has run out")


class Runner:
    """Drains lanes, and is the last guard: whatever a drain raises is told and judged here, never hidden."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._left = set[asyncio.Future[None]]()  # drains that were told to end, and have not yet

    async def drain(self, lane: Lane) -> None:
        """Raises what the drain raised, for the queue's own count, after the lane was given another bell."""
        structlog.contextvars.clear_contextvars()
        try:
            await self._drain(lane)
        except (StoreUnavailable, _LeaseRanOut) as exc:
            log.warning("lane put off", queue=lane.queue.value, lane=lane.name, reason=str(exc))
            await self._again(lane)
        except Exception:
            metrics.alarmed(AlarmKind.DRAIN_FAILED)
            log.exception("drain failed", queue=lane.queue.value, lane=lane.name, alarm=True)
            await self._again(lane)
            raise

    async def _drain(self, lane: Lane) -> None:
        """As long as this worker's lease lasts. Raises _LeaseRanOut.

        Nobody waits then for a drain that hangs at a PostgreSQL that does not answer: its lane is others'.
        """
        lease = self._app.stopping.worker
        if lease.is_out.is_set():
            raise _LeaseRanOut
        drain = asyncio.ensure_future(self._app.drains[lane.queue](lane))
        is_out = asyncio.ensure_future(lease.is_out.wait())
        try:
            await asyncio.wait({drain, is_out}, return_when=asyncio.FIRST_COMPLETED)
            if drain.done():
                drain.result()
                return
            drain.cancel()
            self._left.add(drain)
            drain.add_done_callback(self._forget)
            raise _LeaseRanOut
        except asyncio.CancelledError:
            await ended([drain])
            raise
        finally:
            is_out.cancel()

    def _forget(self, drain: asyncio.Future[None]) -> None:
        self._left.discard(drain)
        if not drain.cancelled() and (error := drain.exception()) is not None:
            log.info("drain that was left ended", reason=type(error).__name__)

    async def _again(self, lane: Lane) -> None:
        await self._app.bells.later(lane, self._app.clock.now() + timedelta(seconds=_AGAIN_S))
