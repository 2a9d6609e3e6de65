"""A process's connections to Redis, with short time limits: whatever is asked there has an answer without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from zaptrix.broker.connection import address
from zaptrix.broker.connection.address import Address, RedisTopology
from zaptrix.broker.connection.cluster import Cluster
from zaptrix.broker.connection.sentinel import SentinelPool, primary_of

ANSWER_S_MAX = 0.5
CONNECTIONS_MAX = 32
HEALTH_CHECK_S = 15
# A worker's connection blocks for up to ten seconds in BZPOPMIN; only beyond that is silence a sign.
BLOCKED_S_MAX = 15.0
QUIET_LOOK_S = 10
"""A quiet queue is asked as seldom as this without a bell, by everyone who could serve it: below BLOCKED_S_MAX. No bell
waits for it."""
# Where another server takes the place of one that is gone, its blocked connections do not hear of it.
FAIL_OVER_BLOCKED_S_MAX, FAIL_OVER_LOOK_S = 4.5, 3
WORKER_RETRIES = 8  # 50 ms doubling to one second: about five seconds, what a restart takes

AWAY = (RedisError, OSError)
"""What tells that Redis did not do it. Built-in TimeoutError, which `answering` raises, is an OSError."""


def connect(url: str) -> Redis:
    """The process's one client, shared by all but the workers; every use of it stands in `answering()`.

    Nothing is dialled yet. Close it with `aclose()`.
    """
    return _client(
        address.read(url),
        socket_connect_timeout=ANSWER_S_MAX,
        # `answering` is the timeout. With one of redis-py's own, each send goes through asyncio.wait_for, which up to
        # Python 3.11 loses a cancellation that comes as it ends: a busy caller could not be stopped.
        socket_timeout=None,
        # Once, at once: a connection that a restart of Redis has killed is only found dead when it is used.
        retry=Retry(NoBackoff(), 1, (RedisConnectionError,)),
        fair=True,
    )


def connect_worker(url: str) -> Redis:
    """A worker's own client: it blocks for bells, and a short outage must not make it give up a finished job."""
    where = address.read(url)
    return _client(
        where,
        socket_connect_timeout=ANSWER_S_MAX,
        socket_timeout=BLOCKED_S_MAX if where.form is RedisTopology.SINGLE else FAIL_OVER_BLOCKED_S_MAX,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), WORKER_RETRIES),
        fair=False,
    )


def quiet_look_s(url: str) -> int:
    """How long a worker's connection may block without a bell."""
    return QUIET_LOOK_S if address.read(url).form is RedisTopology.SINGLE else FAIL_OVER_LOOK_S


def _client(where: Address, *, fair: bool, **options: Any) -> Redis:
    options |= {"decode_responses": True, "health_check_interval": HEALTH_CHECK_S, **where.options}
    if where.form is RedisTopology.CLUSTER:
        del options["retry"]  # by looking which node it is now
        # It has Redis's commands, and hands each to the node whose key it is about.
        return cast("Redis", Cluster(where.hosts, turns=CONNECTIONS_MAX if fair else None, **options))
    if where.form is RedisTopology.SENTINEL:
        return primary_of(where, FairSentinelPool if fair else SentinelPool, options)
    if fair:
        return Redis.from_pool(FairPool.from_url(where.url, **options))
    return Redis.from_url(where.url, **options)


class FairPool(ConnectionPool):
    """At most CONNECTIONS_MAX connections, handed out in the order of asking.

    redis-py's own bounded pool lets whoever gives a connection back take it again before those who wait: measured, 50
    busy callers on 32 connections kept every bell waiting for ever.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
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


class FairSentinelPool(FairPool, SentinelPool):
    """The same to the primary that Sentinels name."""


@asynccontextmanager
async def answering(seconds: float = ANSWER_S_MAX) -> AsyncIterator[None]:
    """Redis has to answer within `seconds`, connecting included. Raises one of `AWAY`."""
    async with asyncio.timeout(seconds):
        yield
