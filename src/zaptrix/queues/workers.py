"""Who answers the bells: one BullMQ worker a queue, several lanes at once, never one lane twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self

import structlog
from bullmq import Worker

from zaptrix.core.lanes import Lane, Queue
from zaptrix.queues.bells import LATER, Bells
from zaptrix.queues.connection import connect_worker
from zaptrix.queues.quiet import QuietLog
from zaptrix.settings import Settings
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import BellStatus

Drain = Callable[[Lane], Awaitable[None]]

STOP_GRACE_S = 30.0
RESTART_WAIT_S = 0.5
# BullMQ gives a job up after its second stall; a lane is never given up.
STALLS_MAX = 1_000_000
# How long a stopping worker without a drain may still be on its way to Redis before it is cut off.
LEAVE_S = 1.0
POLL_S = 0.02
KEPT_MINUTES = 60  # BullMQ's own series of completed and failed jobs, and with it their totals

_log = structlog.get_logger(__name__)
_quiet = QuietLog(__name__)


class DrainFailed(Exception):
    """A drain raised. BullMQ keeps this text in Redis, so it says the kind of error and nothing of what it quoted."""


class LaneWorkers:
    """The workers of one process. `drain` is called with a lane, by one runner in the cluster at a time."""

    def __init__(self, settings: Settings, queues: Iterable[Queue], drain: Drain, bells: Bells) -> None:
        self._runners = [_QueueRunner(settings, queue, drain, bells) for queue in queues]

    async def start(self) -> None:
        """Begin to take bells, as soon as Redis is there."""
        for runner in self._runners:
            runner.start()

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Take no more bells, let running drains end for up to `grace_s`, then cut them off; their lanes are freed."""
        await asyncio.gather(*(runner.stop(grace_s) for runner in self._runners))


class _QueueRunner:
    """Keeps one BullMQ worker running, whatever happens to Redis."""

    def __init__(self, settings: Settings, queue: Queue, drain: Drain, bells: Bells) -> None:
        self._settings = settings
        self._queue = queue
        self._drain = drain
        self._bells = bells
        self._worker: Any = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._drains = 0

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep_running())

    async def stop(self, grace_s: float) -> None:
        self._stopping.set()
        if self._task is None:
            return
        if self._worker is not None:
            await self._leave(self._worker, grace_s)
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _keep_running(self) -> None:
        while not self._stopping.is_set():
            self._worker = self._new_worker()
            running = asyncio.ensure_future(_run(self._worker))
            try:
                await asyncio.wait({running})
            finally:
                running.cancel()
            if self._stopping.is_set():
                return
            # It ends by itself only when Redis was away at its start, or a drain let a cancellation out.
            error = asyncio.CancelledError() if running.cancelled() else running.exception()
            _quiet.warning("queue_worker_ended", error or RuntimeError(), queue=self._queue.value)
            await self._worker.close(force=True)
            await asyncio.sleep(RESTART_WAIT_S)

    async def _leave(self, worker: Any, grace_s: float) -> None:
        """Close a worker: running drains get `grace_s`, and what then only waits for Redis gets `LEAVE_S`."""
        closing = asyncio.ensure_future(worker.close())
        now = time.monotonic()
        last_busy, deadline = now, now + grace_s
        while not closing.done() and (now := time.monotonic()) < min(deadline, last_busy + LEAVE_S):
            last_busy = now if self._drains else last_busy
            await asyncio.wait({closing}, timeout=POLL_S)
        if not closing.done():
            _log.warning("queue_worker_cut_off", queue=self._queue.value, drains_count=self._drains)
            worker.forceClosing = True
            worker.cancelProcessing()
        await closing

    def _new_worker(self) -> Any:
        worker = Worker(
            self._queue.value,
            self._answer,
            {
                "connection": connect_worker(self._settings.redis_url),
                "autorun": False,
                "concurrency": self._settings.worker_concurrency,
                "lockDuration": round(self._settings.lock_duration_s * 1000),
                "stalledInterval": round(self._settings.stalled_interval_s * 1000),
                "maxStalledCount": STALLS_MAX,
                "runRetryDelay": round(RESTART_WAIT_S * 1000),
                "metrics": {"maxDataPoints": KEPT_MINUTES},
            },
        )
        worker.on("error", self._told_error)
        worker.on("stalled", self._told_stalled)
        return worker

    async def _answer(self, job: Any, _token: str) -> None:
        lane = Lane(self._queue, job.data["lane"])
        if job.name == LATER:
            # It has an id of its own, so nothing keeps it apart from a runner of its lane; the lane's own bell does.
            await self._bells.ring([lane])
            return
        self._drains += 1
        try:
            with _Counted(self._queue):
                await self._drain(lane)
        finally:
            self._drains -= 1

    def _told_error(self, error: BaseException, *_job: Any) -> None:
        _quiet.warning("queue_error", error, queue=self._queue.value)

    def _told_stalled(self, job_id: str) -> None:
        _log.warning("bell_freed", queue=self._queue.value, job_id=job_id)


class _Counted:
    """Counts one drain, and lets nothing of its error but the kind go to Redis."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            return  # cut off: the lane's next runner counts
        status = BellStatus.COMPLETED if kind is None else BellStatus.FAILED
        metrics.lane_drained(self._queue, status, time.monotonic() - self._began)
        if kind is not None:
            raise DrainFailed(kind.__name__) from None


async def _run(worker: Any) -> None:
    # Until BullMQ has asked for the server's version, it rounds its wait for a delayed bell up to whole seconds.
    await worker.blockingRedisConnection.getRedisVersion()
    await worker.run()
