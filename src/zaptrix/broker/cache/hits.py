"""How often the caches had the answer: by process for Prometheus, and over the whole cluster in Redis."""

from __future__ import annotations

import time
from collections import Counter
from typing import NamedTuple

import structlog
from redis.asyncio import Redis

from zaptrix.broker.connection.connection import AWAY, answering
from zaptrix.broker.connection.keys import Keys
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import CacheName

WRITE_EVERY_S = 5.0  # between processes a hit rate may be that late

_log = RateLimitedLog(__name__)
_every = structlog.get_logger(__name__)


class Lookups(NamedTuple):
    """Look-ups in one cache since Redis began to count."""

    hits: int
    misses: int

    @property
    def ratio(self) -> float | None:
        """None before the first look-up."""
        total = self.hits + self.misses
        return self.hits / total if total else None


class Hits:
    """Counts look-ups, and tells the cluster's totals now and then."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = Keys(redis).alone("zx:hits")
        self._unwritten: Counter[str] = Counter()
        self._write_at = 0.0

    async def count(self, cache: CacheName, *, hits: int, misses: int) -> None:
        metrics.cache_looked_up(cache, hits=hits, misses=misses)
        _every.debug("cache looked up", cache=cache.value, hits=hits, misses=misses)
        self._unwritten[f"{cache}:hits"] += hits
        self._unwritten[f"{cache}:misses"] += misses
        if time.monotonic() >= self._write_at:
            await self._write()

    async def totals(self) -> dict[CacheName, Lookups] | None:
        """The cluster's look-ups by cache; None when Redis is away."""
        await self._write()
        try:
            async with answering():
                kept = await self._redis.hgetall(self._key)
        except AWAY as exc:
            _log.warning("hits_unknown", exc)
            return None
        return {
            cache: Lookups(int(kept.get(f"{cache}:hits", 0)), int(kept.get(f"{cache}:misses", 0)))
            for cache in CacheName
        }

    async def _write(self) -> None:
        self._write_at = time.monotonic() + WRITE_EVERY_S
        counts, self._unwritten = +self._unwritten, Counter()
        if not counts:
            return
        try:
            async with answering(), self._redis.pipeline(transaction=False) as pipe:
                for field, count in counts.items():
                    pipe.hincrby(self._key, field, count)
                await pipe.execute()
        except AWAY as exc:
            _log.warning("hits_not_written", exc)
