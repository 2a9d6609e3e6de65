"""How often we may be called: by the buckets of pace, and without Redis by this process's own."""

from __future__ import annotations

import time
from collections import OrderedDict

from redis.asyncio import Redis

from zaptrix.broker.connection.connection import AWAY, answering
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.broker.pace.pace import LOCAL_BUCKETS_MAX, Buckets
from zaptrix.core.delivery.pace import Bucket

_log = RateLimitedLog(__name__)


class Throttle:
    """Limits a minute for who calls us: all at once or spread, whatever each minute's budget allows."""

    def __init__(self, redis: Redis) -> None:
        self._buckets = Buckets(redis, wait_s_max=0)
        self._local = LocalBuckets()
        self._refused: OrderedDict[str, float] = OrderedDict()  # until when, by this process's monotonic clock

    def refused_for(self, key: str) -> float | None:
        """Seconds for which `key` was told to stay away; None when it was not, as far as this process knows.

        For before the work is done: asking takes nothing and nobody's time.
        """
        wait_s = self._refused.get(key, 0.0) - time.monotonic()
        return wait_s if wait_s > 0 else None

    async def allow(self, key: str, per_minute: int) -> float | None:
        """None: let it in. Else: seconds after which to come back. Without Redis each process counts for itself."""
        wait_s = await self._allow(key, per_minute)
        if wait_s is not None:
            self._refused[key] = time.monotonic() + wait_s
            self._refused.move_to_end(key)
            if len(self._refused) > LOCAL_BUCKETS_MAX:
                self._refused.popitem(last=False)
        return wait_s

    async def _allow(self, key: str, per_minute: int) -> float | None:
        bucket = Bucket(key=f"calls:{key}", rate_per_s=per_minute / 60, burst=per_minute, full_when_lost=False)
        try:
            async with answering():
                answer = await self._buckets.ask((bucket,))
        except AWAY as exc:
            _log.warning("throttle_local", exc)
            return self._local.take(bucket, time.monotonic())
        return None if answer.booked else answer.wait_s


class LocalBuckets:
    """The same arithmetic in this process alone. Holds the buckets used last."""

    def __init__(self) -> None:
        self._empty_at: OrderedDict[str, float] = OrderedDict()

    def take(self, bucket: Bucket, now: float) -> float | None:
        """None: taken. Else: seconds after which there is room."""
        interval_s = 1 / bucket.rate_per_s
        empty_at = max(now, self._empty_at.pop(bucket.key, now))
        wait_s = empty_at - interval_s * (bucket.burst - 1) - now
        self._empty_at[bucket.key] = empty_at if wait_s > 0 else empty_at + interval_s
        if len(self._empty_at) > LOCAL_BUCKETS_MAX:
            self._empty_at.popitem(last=False)
        return wait_s if wait_s > 0 else None
