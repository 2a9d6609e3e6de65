"""A worker process: answers the bells of its queues until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import timedelta

import structlog
import uvloop

from zaptrix.app import App, open_app
from zaptrix.bridge.shared_media import SharedMedia
from zaptrix.core import limits
from zaptrix.core.lanes import Lane, Queue
from zaptrix.open_files import allow_open_files
from zaptrix.queues.workers import LaneWorkers
from zaptrix.settings import Settings
from zaptrix.store.database import StoreUnavailable
from zaptrix.tasks import ended
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.worker.chores import chores_of, watches_of
from zaptrix.worker.fetching import Fetching
from zaptrix.worker.heartbeat import beating
from zaptrix.worker.metrics_server import serve_metrics
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
        await workers.start()
        chores = [*chores_of(app), asyncio.create_task(Fetching(app).run())]
        beside = [
            *watches_of(app),
            *map(asyncio.create_task, (keep_totals(app), serve_metrics(settings), shared_media.keep())),
        ]
        log.info("worker ready", queues=[queue.value for queue in queues])
        await told_to_stop.wait()
        log.info("worker stopping")
        asyncio.get_running_loop().call_later(limits.STOP_S_MAX, _cut_short)
        app.stopping.tell(limits.STOP_CALL_S)
        await asyncio.gather(_seen_through(chores), workers.stop())
        await ended(beside)
        await add_totals(app)


async def _seen_through(chores: Sequence[asyncio.Task[None]]) -> None:
    """They were told to stop, and end by themselves unless something hangs."""
    await asyncio.wait(chores, timeout=limits.STOP_S)
    await ended(chores)


def _cut_short() -> None:
    """Whatever hangs: who told us to stop does not wait for it. What was claimed is looked after by the others."""
    log.warning("stopping cut short")
    os._exit(0)


class Runner:
    """Drains lanes, and is the last guard: whatever a drain raises is told and judged here, never hidden."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def drain(self, lane: Lane) -> None:
        """Raises what the drain raised, for the queue's own count, after the lane was given another bell."""
        structlog.contextvars.clear_contextvars()
        try:
            await self._app.drains[lane.queue](lane)
        except StoreUnavailable as exc:
            log.warning("lane put off", queue=lane.queue.value, lane=lane.name, reason=str(exc))
            await self._again(lane)
        except Exception:
            metrics.alarmed(AlarmKind.DRAIN_FAILED)
            log.exception("drain failed", queue=lane.queue.value, lane=lane.name, alarm=True)
            await self._again(lane)
            raise

    async def _again(self, lane: Lane) -> None:
        await self._app.bells.later(lane, self._app.clock.now() + timedelta(seconds=_AGAIN_S))
