"""Workers that answer bells: one BullMQ worker a queue, several lanes at once, never one lane twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self

import structlog
from bullmq import Worker

from zaptrix.broker.connection.connection import connect_worker, quiet_look_s
from zaptrix.broker.connection.keys import Keys
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.broker.queues.bells import LATER, Bells
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.settings import Settings
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import BellStatus

Drain = Callable[[Lane], Awaitable[None]]

STOP_GRACE_S = limits.STOP_S
RESTART_WAIT_S = 0.5
# BullMQ gives a job up after its second stall; a lane is never given up.
STALLS_MAX = 1_000_000
# How long a stopping worker without a drain may still be on its way to Redis before it is cut off.
LEAVE_S = 1.0
POLL_S = 0.02
KEPT_MINUTES = 60  # BullMQ's own series of completed and failed jobs, and with it their totals

_log = structlog.get_logger(__name__)
_quiet = RateLimitedLog(__name__)


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

    def rest(self) -> None:
        """Leave the bells to others, until `wake`; drains that run are not touched."""
        for runner in self._runners:
            runner.rest()

    def wake(self) -> None:
        """Take bells again."""
        for runner in self._runners:
            runner.wake()

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
        self._worker: _LeavingWorker | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._drains = 0
        self._resting = False

    def rest(self) -> None:
        self._resting = True
        if self._worker is not None:
            self._worker.rest()

    def wake(self) -> None:
        self._resting = False
        if self._worker is not None:
            self._worker.wake()

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
            # It ends by itself when Redis was away at its start.
            error = None if running.cancelled() else running.exception()
            _quiet.warning("queue_worker_ended", error or RuntimeError(), queue=self._queue.value)
            await self._worker.close(force=True)
            await asyncio.sleep(RESTART_WAIT_S)

    async def _leave(self, worker: _LeavingWorker, grace_s: float) -> None:
        """Close a worker: running drains get `grace_s`, and what then only waits for Redis gets `LEAVE_S`."""
        deadline = time.monotonic() + grace_s
        await _until(worker.takes_no_more, LEAVE_S)
        await asyncio.sleep(POLL_S)  # a bell that came last is on its way to its drain
        await _until(lambda: not self._drains, deadline - time.monotonic())
        if not self._drains:
            await _until(lambda: not worker.jobs, LEAVE_S)
        left = len(worker.jobs)
        worker.released.set()
        closing = asyncio.ensure_future(worker.close())
        while not (await asyncio.wait({closing}, timeout=0 if left else LEAVE_S))[0]:
            if left:
                _log.warning("drains_cut_off", queue=self._queue.value, drains_count=left)
                left = 0
            # More than once: up to Python 3.11 asyncio.wait_for may lose a cancellation.
            worker.cancelProcessing()

    def _new_worker(self) -> _LeavingWorker:
        redis = connect_worker(self._settings.redis_url)
        worker = _LeavingWorker(
            self._queue.value,
            self._answer,
            {
                "connection": redis,
                "prefix": Keys(redis).bull(self._queue),
                "autorun": False,
                "concurrency": self._settings.worker_concurrency,
                "drainDelay": quiet_look_s(self._settings.redis_url),
                "lockDuration": round(self._settings.lock_duration_s * 1000),
                "stalledInterval": round(self._settings.stalled_interval_s * 1000),
                "maxStalledCount": STALLS_MAX,
                "runRetryDelay": round(RESTART_WAIT_S * 1000),
                "metrics": {"maxDataPoints": KEPT_MINUTES},
            },
        )
        worker.on("error", self._told_error)
        worker.on("stalled", self._told_stalled)
        if self._resting:
            worker.rest()
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
        if kind is not None and not issubclass(kind, Exception) and not _stray(kind):
            return  # cut off: the lane's next runner counts
        status = BellStatus.COMPLETED if kind is None else BellStatus.FAILED
        metrics.lane_drained(self._queue, status, time.monotonic() - self._began)
        if kind is not None:
            raise DrainFailed(kind.__name__) from None


def _stray(kind: type[BaseException]) -> bool:
    """A cancellation that nobody asked this drain for: let out, it would end its worker and all its other drains."""
    task = asyncio.current_task()
    return issubclass(kind, asyncio.CancelledError) and task is not None and not task.cancelling()


class _LeavingWorker(Worker):  # type: ignore[misc] # bullmq has no types
    """A worker that can stop taking bells while its drains go on.

    BullMQ's own close() ends its loop while a request for the next job may still be under way: the job that comes back
    is then locked and run by nobody until its lock runs out.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.released = asyncio.Event()
        self._leaving = asyncio.Event()
        self._awake = asyncio.Event()
        self._awake.set()
        self._asking = 0
        # Each free place would ask for itself whenever one bell came, seven commands each: measured with four places,
        # nine times a bell. So one asks at a time, and the next only when that one has got a bell. Even that one would
        # ask twice: at once, and again for the marker that BullMQ sets with each bell that is taken, for whoever looks
        # next. So it waits for the marker first (`drained`).
        self._turn = asyncio.Lock()

    def rest(self) -> None:
        """Ask for no bell until `wake`. BullMQ's own pause() keeps one that was asked for before."""
        if self._leaving.is_set():
            return
        self._awake.clear()
        if self.waiting:
            self.waiting.cancel()

    def wake(self) -> None:
        self._awake.set()

    def takes_no_more(self) -> bool:
        """Take no more bells; True as soon as none can come any more."""
        self._leaving.set()
        self._awake.set()
        if self.waiting:
            self.waiting.cancel()
        return not self._asking

    async def waitForJob(self) -> int:  # noqa: N802 - BullMQ's name
        if not self._awake.is_set():  # it was asked before, and has only come so far
            raise asyncio.CancelledError
        return int(await super().waitForJob())

    async def getNextJob(self, token: str) -> Any:  # noqa: N802 - BullMQ's name
        async with self._turn:
            return await self._next_job(token)

    async def _next_job(self, token: str) -> Any:
        await self._awake.wait()
        if self._leaving.is_set():
            await self.released.wait()
            return None
        self._asking += 1
        try:
            job = await super().getNextJob(token)
        except asyncio.CancelledError:
            if not self._leaving.is_set() and self._awake.is_set():
                raise
            return None
        else:
            if job is not None:
                self.drained = True
            return job
        finally:
            self._asking -= 1


async def _run(worker: _LeavingWorker) -> None:
    # Until BullMQ has asked for the server's version, it rounds its wait for a delayed bell up to whole seconds.
    await worker.blockingRedisConnection.getRedisVersion()
    await worker.run()


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Return when `condition` holds or `seconds` are over."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
