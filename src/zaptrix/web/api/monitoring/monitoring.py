"""Monitoring: `/health` and its probes, `/cache/stats`, `/queues/stats`, `/metrics`, `/metrics/json`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from msgspec import Meta, Struct

import zaptrix
from zaptrix.app import App
from zaptrix.broker.stats import CacheStats, bell_counts, cache_stats, look_at_redis
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.installation.faults import Fault
from zaptrix.core.portal import Locale
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.connection.replica import ReplicaState
from zaptrix.store.ledger.views import QueueView
from zaptrix.store.processes import totals
from zaptrix.telemetry import exposition
from zaptrix.telemetry.exposition import Family
from zaptrix.telemetry.metrics import Waiting
from zaptrix.web.api.monitoring.lookups import look_at_postgresql, looked_up, queue_sizes, workers_at_work
from zaptrix.web.api.monitoring.shared_answer import SharedAnswer
from zaptrix.web.api.request.callers import app_of, watcher

HEALTH_GOOD_FOR_S = 0.5
_METRICS_TYPE = exposition.CONTENT_TYPE.removesuffix("; charset=utf-8")  # the framework adds it


class Part(Struct, frozen=True, kw_only=True):
    """One server that the gateway stands on."""

    ok: bool
    latency_ms: float | None


class Replica(Struct, frozen=True, kw_only=True):
    """The replica of DATABASE_READ_URL. While it is not ok, lists come from the primary."""

    ok: bool
    state: Annotated[ReplicaState, Meta(description="fit, lags, away, or other: no standby of this primary.")]
    lag_s: float | None


class Health(Struct, frozen=True, kw_only=True):
    """`status` is ok or degraded; `works` says in words what goes on."""

    status: str
    postgresql: Part
    redis: Part
    replica: Replica | None
    works: list[str]
    timestamp: datetime
    version: str


class Probe(Struct, frozen=True, kw_only=True):
    """`status` is live, ready or stopping."""

    status: str
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
_NOBODY_WORKS = "Nothing is delivered from these queues, as no worker runs for them: {queues}; start `zaptrix worker`."
_WITHOUT_WORKERS = ("Webhooks are accepted and kept in PostgreSQL; nothing is lost.", "The API answers.")
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
    """Open to all. 503 when PostgreSQL or Redis cannot be used; what still works then is told in words.

    A gateway without workers takes in webhooks as it should, so a balancer has to keep it: 200, but `degraded`. All who
    ask within half a second are told the same.
    """
    shared: SharedAnswer[Health] = request.app.state["health"]
    told = await shared.get()
    return Response(told, status_code=200 if told.postgresql.ok and told.redis.ok else 503)


def shared_health(app: App) -> SharedAnswer[Health]:
    """What `/health` tells: it is open to all, and looks at both servers."""
    return SharedAnswer(lambda: _health(app), HEALTH_GOOD_FOR_S)


async def _health(app: App) -> Health:
    (postgres_fault, postgres_ms), redis, at_work = await asyncio.gather(
        look_at_postgresql(app), look_at_redis(app.redis, app.bells), workers_at_work(app)
    )
    works = [
        *_told(postgres_fault, _WITHOUT_POSTGRESQL),
        *_told(redis.fault, _WITHOUT_REDIS if not postgres_fault else ()),
    ]
    answered = redis.answered(at_work)
    idle = [queue.value for queue in Queue if answered is not None and queue not in answered]
    if idle and not works:
        works = [_NOBODY_WORKS.format(queues=", ".join(idle)), *_WITHOUT_WORKERS]
    return Health(
        status="degraded" if works else "ok",
        postgresql=Part(ok=postgres_fault is None, latency_ms=postgres_ms),
        redis=Part(ok=redis.fault is None, latency_ms=redis.ping_ms if redis.fault is None else None),
        replica=_replica(app),
        works=works or [_ALL_WORKS],
        timestamp=app.clock.now(),
        version=zaptrix.__version__,
    )


@get("/health/live", summary="Liveness", operation_id="getLiveness", opt={"open": True})
async def live() -> Probe:
    """Open to all. 200 from a process that answers at all: one that does not has to be started anew.

    It looks at no server: to start gateways anew brings no database back.
    """
    return Probe(status="live", version=zaptrix.__version__)


@get("/health/ready", summary="Readiness", operation_id="getReadiness", opt={"open": True})
async def ready(request: Request[Any, Any, Any]) -> Response[Probe]:
    """Open to all; for balancers and orchestrators. 503 from a gateway that was told to stop, as long as it still
    takes requests: send them elsewhere.

    It is ready without PostgreSQL or Redis, too: see `works` of `/health` for what it does then.
    """
    stopping = request.app.state["readiness"].stopping
    told = Probe(status="stopping" if stopping else "ready", version=zaptrix.__version__)
    return Response(told, status_code=503 if stopping else 200)


def _told(fault: Fault | None, works: tuple[str, ...]) -> list[str]:
    """What is wrong, and what goes on without it."""
    if fault is None:
        return []
    words = str(fault.words(Locale.EN))
    return [f"{words[0].upper()}{words[1:]}{'' if words.endswith('?') else '.'}", *works]


@get("/cache/stats", summary="Cache statistics", operation_id="getCacheStats", guards=[watcher])
async def cache(request: Request[Any, Any, Any]) -> CacheStats:
    """Memory, clients and keys of Redis, and how often the caches had the answer."""
    app = app_of(request)
    return await cache_stats(app.redis, app.hits)


@get("/queues/stats", summary="Queue statistics", operation_id="getQueueStats", guards=[watcher])
async def queues(request: Request[Any, Any, Any]) -> dict[str, QueueStats]:
    """For each of the four queues: its messages by the ledger, and its jobs by BullMQ."""
    app = app_of(request)
    sizes, done, jobs = await asyncio.gather(queue_sizes(app), _completed(app), bell_counts(app.bells))
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
    live = await looked_up(app_of(request))
    told = await asyncio.to_thread(exposition.text, live)
    return Response(told.decode(), media_type=_METRICS_TYPE)


@get("/metrics/json", summary="Metrics as JSON", operation_id="getMetricsJson", guards=[watcher])
async def as_json(request: Request[Any, Any, Any]) -> list[Family]:
    """The same, for people who debug."""
    return await asyncio.to_thread(exposition.as_json, await looked_up(app_of(request)))


HANDLERS = (health, live, ready, cache, queues, prometheus, as_json)


def _replica(app: App) -> Replica | None:
    standing = app.reads.standing
    if standing is None:
        return None
    lag_s = None if standing.lag_s is None else round(standing.lag_s, 1)
    return Replica(ok=standing.state is ReplicaState.FIT, state=standing.state, lag_s=lag_s)


async def _completed(app: App) -> dict[Queue, int]:
    try:
        return await app.reads.ask(totals.completed)
    except StoreUnavailable:
        return {}


def _message_counts(size: QueueView, completed: int | None) -> MessageCounts:
    return MessageCounts(**msgspec.structs.asdict(size), completed=completed)


def _job_counts(counts: dict[Waiting, int]) -> JobCounts:
    return JobCounts(**{state.value: count for state, count in counts.items()})
