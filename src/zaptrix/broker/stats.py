"""What Redis and the bells look like right now, for `/health`, `/cache/stats`, `/queues/stats` and `zaptrix doctor`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from zaptrix.broker.cache.hits import Hits
from zaptrix.broker.connection.connection import ANSWER_S_MAX, AWAY, answering
from zaptrix.broker.connection.fitness import facts_told, fault_of, probe, trouble
from zaptrix.broker.connection.keys import on_each
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.broker.queues.bells import Bells
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.installation.faults import Fault
from zaptrix.telemetry.metrics import CacheName, Waiting

STATS_S_MAX = 2 * ANSWER_S_MAX

_COUNTED_STATES = (Waiting.WAITING, Waiting.ACTIVE, Waiting.DELAYED)
_ENDED_STATES = (Waiting.COMPLETED, Waiting.FAILED)

_log = RateLimitedLog(__name__)


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """`/cache/stats`. `available` False: Redis is away, and nothing else is known."""

    available: bool
    used_memory_bytes: int | None = None
    connected_clients: int | None = None
    total_keys: int | None = None
    hits: int | None = None
    misses: int | None = None
    hit_rate: float | None = None  # 0 to 1; None before the first look-up
    by_cache: dict[CacheName, float | None] = {}  # the hit rate of each


async def bell_counts(bells: Bells) -> dict[Queue, dict[Waiting, int]] | None:
    """Bells by queue and state; completed and failed are totals since Redis has data. None when Redis is away."""
    try:
        async with answering(STATS_S_MAX):
            counts = await asyncio.gather(*(_counts(bells.queue(queue)) for queue in Queue))
    except AWAY as exc:
        _log.warning("bells_unknown", exc)
        return None
    return dict(zip(Queue, counts, strict=True))


async def cache_stats(redis: Redis, hits: Hits) -> CacheStats:
    """What `/cache/stats` shows."""
    try:
        async with answering(STATS_S_MAX):
            memory, clients = await on_each(redis, "INFO", "memory"), await on_each(redis, "INFO", "clients")
            keys = await on_each(redis, "DBSIZE")
    except AWAY as exc:
        _log.warning("cache_stats_unknown", exc)
        return CacheStats(available=False)
    totals = await hits.totals() or {}
    hit, missed = sum(each.hits for each in totals.values()), sum(each.misses for each in totals.values())
    return CacheStats(
        available=True,
        used_memory_bytes=sum(int(each["used_memory"]) for each in memory),
        connected_clients=sum(int(each["connected_clients"]) for each in clients),
        total_keys=sum(map(int, keys)),
        hits=hit,
        misses=missed,
        hit_rate=hit / (hit + missed) if hit + missed else None,
        by_cache={cache: each.ratio for cache, each in totals.items()},
    )


async def memory_bytes(redis: Redis) -> int | None:
    """What Redis uses; None when it is away."""
    try:
        async with answering(STATS_S_MAX):
            return int((await redis.info("memory"))["used_memory"])
    except AWAY:
        return None


class RedisHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How Redis is, and whose workers are connected to it."""

    fault: Fault | None = None
    ping_ms: float | None = None
    worked: frozenset[Queue] | None = None
    """Queues with a worker; None: Redis does not tell."""

    def answered(self, workers: int | None) -> frozenset[Queue] | None:
        """Queues that somebody answers for. `workers`: how many give a heartbeat; None: nobody knows.

        One that stands still stays connected to Redis.
        """
        return frozenset() if workers == 0 else self.worked


async def look_at_redis(redis: Redis, bells: Bells) -> RedisHealth:
    """Whether the queues can be read and written, and whether anybody answers their bells.

    BullMQ gives the connections of a queue's workers a name of their own, so that Redis itself tells who works.
    """
    try:
        async with answering(STATS_S_MAX):
            began = time.monotonic()
            await redis.ping()
            ping_s = time.monotonic() - began
            fault = next(filter(None, map(fault_of, await facts_told(redis))), None)
            if fault is None:
                await probe(redis)
            worked = await _worked(redis, bells)
    except AWAY as exc:
        return RedisHealth(fault=trouble(exc))
    return RedisHealth(fault=fault, ping_ms=round(ping_s * 1000, 1), worked=worked)


async def _worked(redis: Redis, bells: Bells) -> frozenset[Queue] | None:
    try:
        clients = [client for told in await on_each(redis, "CLIENT LIST") for client in told]
        names = {str(client.get("name", "")) for client in clients}
    except ResponseError:  # a managed Redis may forbid it
        return None
    return frozenset(queue for queue in Queue if str(bells.queue(queue).backend.clientName()) in names)


async def _counts(queue: Any) -> dict[Waiting, int]:
    """One queue's bells. Ended jobs are removed at once, so their numbers come from BullMQ's own totals."""
    present = await queue.getJobCounts(*(state.value for state in _COUNTED_STATES))
    ended = await asyncio.gather(
        *(queue.client.hget(queue.toKey(f"metrics:{state}"), "count") for state in _ENDED_STATES)
    )
    counts = {state: int(present[state.value]) for state in _COUNTED_STATES}
    return counts | {state: int(count or 0) for state, count in zip(_ENDED_STATES, ended, strict=True)}
