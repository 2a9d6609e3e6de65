"""A process's way to Redis: short patience, because whatever is asked there has an answer without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

ANSWER_S_MAX = 0.5
CONNECTIONS_MAX = 32
HEALTH_CHECK_S = 15
# A worker's connection blocks for up to ten seconds in BZPOPMIN; only beyond that is silence a sign.
BLOCKED_S_MAX = 15.0
WORKER_RETRIES = 8  # 50 ms doubling to one second: about five seconds, what a restart takes

AWAY = (RedisError, OSError)
"""What tells that Redis did not do it. Built-in TimeoutError, which `answering` raises, is an OSError."""


def connect(url: str) -> Redis:
    """The process's one client, shared by all but the workers; every use of it stands in `answering()`.

    Nothing is dialled yet. Close it with `aclose()`.
    """
    pool = FairPool.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=ANSWER_S_MAX,
        # `answering` is the timeout. With one of redis-py's own, each send goes through asyncio.wait_for, which up to
        # Python 3.11 loses a cancellation that comes as it ends: a busy caller could not be stopped.
        socket_timeout=None,
        health_check_interval=HEALTH_CHECK_S,
        # Once, at once: a connection that a restart of Redis has killed is only found dead when it is used.
        retry=Retry(NoBackoff(), 1, (RedisConnectionError,)),
    )
    return Redis.from_pool(pool)


def connect_worker(url: str) -> Redis:
    """A worker's own client: it blocks for bells, and a short outage must not make it give up a finished job."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=ANSWER_S_MAX,
        socket_timeout=BLOCKED_S_MAX,
        health_check_interval=HEALTH_CHECK_S,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), WORKER_RETRIES),
    )


class FairPool(ConnectionPool):
    """At most CONNECTIONS_MAX connections, handed out in the order of asking.

    redis-py's own bounded pool lets whoever gives a connection back take it again before those who wait: measured, 50
    busy callers on 32 connections kept every bell waiting for ever.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._turns = asyncio.Semaphore(CONNECTIONS_MAX)
        self._lent: set[AbstractConnection] = set()

    async def get_connection(self, *args: Any, **options: Any) -> AbstractConnection:
        await self._turns.acquire()
        connection: AbstractConnection | None = None
        try:
            connection = await super().get_connection(*args, **options)  # type: ignore[no-untyped-call]
        finally:
            if connection is None:
                self._turns.release()
        self._lent.add(connection)
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        try:
            await super().release(connection)
        finally:
            if connection in self._lent:  # not one that failed while it was got
                self._lent.remove(connection)
                self._turns.release()


@asynccontextmanager
async def answering(seconds: float = ANSWER_S_MAX) -> AsyncIterator[None]:
    """Redis has to answer within `seconds`, connecting included. Raises one of `AWAY`."""
    async with asyncio.timeout(seconds):
        yield
