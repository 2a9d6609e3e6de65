"""Monitoring: `/health`, `/cache/stats`, `/queues/stats`, `/metrics`, `/metrics/json`."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from msgspec import Meta, Struct

import zaptrix
from zaptrix.app import App
from zaptrix.core.lanes import Queue
from zaptrix.core.message import Direction
from zaptrix.queues.stats import CacheStats, bell_counts, cache_stats, redis_health
from zaptrix.store import files, recovery, totals, views
from zaptrix.store.database import StoreRefused, StoreUnavailable
from zaptrix.store.views import QueueView
from zaptrix.telemetry import exposition
from zaptrix.telemetry.exposition import Family, Live
from zaptrix.telemetry.metrics import Waiting
from zaptrix.web.callers import app_of, watcher

_PING_S_MAX = 2.0
_METRICS_TYPE = exposition.CONTENT_TYPE.removesuffix("; charset=utf-8")  # the framework adds it


class Part(Struct, frozen=True, kw_only=True):
    """One server that the gateway stands on."""

    ok: bool
    latency_ms: float | None


class Health(Struct, frozen=True, kw_only=True):
    """`status` is ok or degraded; `works` says in words what goes on."""

    status: str
    postgresql: Part
    redis: Part
    works: list[str]
    timestamp: datetime
    version: str


class MessageCounts(Struct, frozen=True, kw_only=True):
    """Messages of a queue, by the ledger. Of a queue that routes, nobody counts what is completed: null."""

    waiting: int
    active: int
    completed: Annotated[int | None, Meta(description="Delivered since the beginning, over all hosts.")]
    failed: Annotated[int, Meta(description="Dead letters; for the routing queues unroutable events.")]
    oldest_age_s: float


class JobCounts(Struct, frozen=True, kw_only=True):
    """Bells of a queue: BullMQ jobs, each for a lane with any number of messages."""

    waiting: int
    active: int
    delayed: int
    completed: int
    failed: int


class QueueStats(Struct, frozen=True, kw_only=True):
    """One queue. Null: the server that knows is away."""

    messages: MessageCounts | None
    jobs: JobCounts | None


_ALL_WORKS = "Everything works."
_WITHOUT_POSTGRESQL = (
    "Meta's webhooks are refused with 503, and Meta sends them again for seven days.",
    "Bitrix24's events are kept on this host's disk, and routed when PostgreSQL is back.",
    "Nothing is delivered, and the API answers 503.",
)
_WITHOUT_REDIS = (
    "Webhooks are accepted and kept in PostgreSQL; nothing is lost.",
    "Delivery waits, as without Redis nobody can say how fast the platforms may be called; it goes on by itself.",
    "The API answers; limits count for each process alone.",
)


@get("/health", summary="Health", operation_id="getHealth", opt={"open": True})
async def health(request: Request[Any, Any, Any]) -> Response[Health]:
    """Open to all. 503 when PostgreSQL or Redis is away; what still works then is told in words."""
    app = app_of(request)
    postgresql, redis = await asyncio.gather(_postgresql(app), _redis(app))
    ok = postgresql.ok and redis.ok
    works = [] if postgresql.ok else list(_WITHOUT_POSTGRESQL)
    works += [] if redis.ok else list(_WITHOUT_REDIS[:] if postgresql.ok else ("Redis is away too.",))
    told = Health(
        status="ok" if ok else "degraded",
        postgresql=postgresql,
        redis=redis,
        works=works or [_ALL_WORKS],
        timestamp=app.clock.now(),
        version=zaptrix.__version__,
    )
    return Response(told, status_code=200 if ok else 503)


@get("/cache/stats", summary="Cache", operation_id="getCacheStats", guards=[watcher])
async def cache(request: Request[Any, Any, Any]) -> CacheStats:
    """Memory, clients and keys of Redis, and how often the caches had the answer."""
    app = app_of(request)
    return await cache_stats(app.redis, app.hits)


@get("/queues/stats", summary="Queues", operation_id="getQueueStats", guards=[watcher])
async def queues(request: Request[Any, Any, Any]) -> dict[str, QueueStats]:
    """For each of the four queues: its messages by the ledger, and its jobs by BullMQ."""
    app = app_of(request)
    sizes, done, jobs = await asyncio.gather(_sizes(app), _completed(app), bell_counts(app.bells))
    return {
        queue.value: QueueStats(
            messages=_message_counts(sizes[queue], done.get(queue)) if sizes else None,
            jobs=_job_counts(jobs[queue]) if jobs else None,
        )
        for queue in Queue
    }


@get("/metrics", summary="Metrics", operation_id="getMetrics", guards=[watcher], media_type="text/plain")
async def prometheus(request: Request[Any, Any, Any]) -> Response[str]:
    """In Prometheus' text format, for all processes of this host."""
    live = await _live(app_of(request))
    told = await asyncio.to_thread(exposition.text, live)
    return Response(told.decode(), media_type=_METRICS_TYPE)


@get("/metrics/json", summary="Metrics as JSON", operation_id="getMetricsJson", guards=[watcher])
async def as_json(request: Request[Any, Any, Any]) -> list[Family]:
    """The same, for people who debug."""
    return await asyncio.to_thread(exposition.as_json, await _live(app_of(request)))


HANDLERS = (health, cache, queues, prometheus, as_json)


async def _postgresql(app: App) -> Part:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_PING_S_MAX), app.database.connection() as connection:
            await connection.fetchval("SELECT 1")
    except (StoreUnavailable, StoreRefused, TimeoutError):
        return Part(ok=False, latency_ms=None)
    return Part(ok=True, latency_ms=round((time.perf_counter() - began) * 1000, 1))


async def _redis(app: App) -> Part:
    told = await redis_health(app.redis)
    return Part(ok=told["ok"], latency_ms=told.get("ping_ms"))


async def _sizes(app: App) -> dict[Queue, QueueView] | None:
    try:
        async with app.database.connection() as connection:
            return await views.queue_sizes(connection)
    except StoreUnavailable:
        return None


async def _completed(app: App) -> dict[Queue, int]:
    try:
        async with app.database.connection() as connection:
            return await totals.completed(connection)
    except StoreUnavailable:
        return {}


async def _live(app: App) -> Live:
    """What is looked up when somebody asks."""
    sizes, jobs, totals, paused, recovering, waiting = await asyncio.gather(
        _sizes(app), bell_counts(app.bells), app.hits.totals(), _paused(app), _recovering(app), _files_waiting(app)
    )
    return Live(
        messages={queue: _by_state(size) for queue, size in sizes.items()} if sizes else None,
        oldest_age_s={queue: size.oldest_age_s for queue, size in sizes.items()} if sizes else None,
        bells=jobs,
        cache_hit_ratio={cache: each.ratio for cache, each in totals.items() if each.ratio is not None}
        if totals
        else None,
        paused=paused,
        recovering=recovering,
        files_waiting=waiting,
    )


async def _paused(app: App) -> Any:
    try:
        async with app.database.connection() as connection:
            return await views.paused(connection)
    except StoreUnavailable:
        return None


async def _recovering(app: App) -> int | None:
    try:
        async with app.database.connection() as connection:
            return len(await recovery.under_way(connection))
    except StoreUnavailable:
        return None


async def _files_waiting(app: App) -> dict[Direction, int] | None:
    try:
        async with app.database.connection() as connection:
            return await files.waiting(connection)
    except StoreUnavailable:
        return None


def _by_state(size: QueueView) -> dict[Waiting, int]:
    return {Waiting.WAITING: size.waiting, Waiting.ACTIVE: size.active, Waiting.FAILED: size.failed}


def _message_counts(size: QueueView, completed: int | None) -> MessageCounts:
    return MessageCounts(**msgspec.structs.asdict(size), completed=completed)


def _job_counts(counts: dict[Waiting, int]) -> JobCounts:
    return JobCounts(**{state.value: count for state, count in counts.items()})
