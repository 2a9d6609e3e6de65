"""What the monitoring pages look up when somebody asks: in PostgreSQL, in Redis and on this host's disk.

Each question fails alone: what nobody can tell right now is left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from zaptrix.app import App
from zaptrix.broker.stats import bell_counts, look_at_redis, memory_bytes
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.installation.faults import Fault, FaultKind
from zaptrix.store.connection.database import Connection, StoreUnavailable
from zaptrix.store.connection.replica import ReplicaState
from zaptrix.store.journal import recovery
from zaptrix.store.ledger import files, views
from zaptrix.store.ledger.views import QueueView
from zaptrix.store.processes import figures, workers
from zaptrix.store.schema import fitness
from zaptrix.telemetry.disk import disk_of
from zaptrix.telemetry.exposition import Figure, Live, Server, SpoolState
from zaptrix.telemetry.metrics import Waiting

_PING_S_MAX = 2.0

T = TypeVar("T")


async def looked_up(app: App) -> Live:
    """Everything for `/metrics`."""
    (fault, ping_ms), redis, at_work, (memory, bells, lookups), stored, (disk, spool) = await asyncio.gather(
        look_at_postgresql(app),
        look_at_redis(app.redis, app.bells),
        workers_at_work(app),
        asyncio.gather(memory_bytes(app.redis), bell_counts(app.bells), app.hits.totals()),
        asyncio.gather(
            queue_sizes(app),
            _asked(app, views.paused),
            _asked(app, recovery.under_way),
            _asked(app, files.waiting),
            _asked(app, figures.read),
        ),
        asyncio.to_thread(lambda: (disk_of(app.settings.data_dir), app.spool.standing())),
    )
    sizes, paused, recovering, waiting, known = stored
    standing = app.reads.standing
    return Live(
        servers={
            Server.POSTGRESQL: ping_ms / 1000 if fault is None and ping_ms is not None else None,
            Server.REDIS: redis.ping_ms / 1000 if redis.fault is None and redis.ping_ms is not None else None,
        },
        worked=redis.answered(at_work),
        workers=at_work,
        redis_bytes=memory,
        messages={queue: _by_state(size) for queue, size in sizes.items()} if sizes else None,
        oldest_age_s={queue: size.oldest_age_s for queue, size in sizes.items()} if sizes else None,
        bells=bells,
        cache_hit_ratio={cache: each.ratio for cache, each in (lookups or {}).items() if each.ratio is not None},
        paused=paused,
        recovering=None if recovering is None else len(recovering),
        files_waiting=waiting,
        spool={state: spool[ending] for state, ending in _SPOOL_ENDINGS.items()},
        disk=disk,
        replica_lag_s=standing.lag_s if standing else None,
        replica_fit=standing.state is ReplicaState.FIT if standing else None,
        figures={figure: known[figure] for figure in Figure if figure in known} if known else {},
    )


_SPOOL_ENDINGS = {SpoolState.WAITING: "event", SpoolState.HELD: "held", SpoolState.BAD: "bad"}


async def look_at_postgresql(app: App) -> tuple[Fault | None, float | None]:
    """What is wrong with it, and the milliseconds that it took to answer."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_PING_S_MAX):
            fault = await fitness.fault_now(app.database)
    except TimeoutError:
        fault = Fault(FaultKind.POSTGRES_AWAY, "TimeoutError")
    return fault, round((time.perf_counter() - began) * 1000, 1) if fault is None else None


async def workers_at_work(app: App) -> int | None:
    """How many give their heartbeat; None: nobody can tell. A replica may not have heard of it yet."""
    try:
        async with app.database.within(_PING_S_MAX) as connection:
            at_work = await workers.at_work(connection, limits.WORKER_LATE_S)
    except StoreUnavailable:
        return None
    return None if at_work is None else len(at_work)


async def queue_sizes(app: App) -> dict[Queue, QueueView] | None:
    """What each queue holds; None while PostgreSQL is away."""
    return await _asked(app, views.queue_sizes)


async def _asked(app: App, question: Callable[[Connection], Awaitable[T]]) -> T | None:
    try:
        return await app.reads.ask(question)
    except StoreUnavailable:
        return None


def _by_state(size: QueueView) -> dict[Waiting, int]:
    return {Waiting.WAITING: size.waiting, Waiting.ACTIVE: size.active, Waiting.FAILED: size.failed}
