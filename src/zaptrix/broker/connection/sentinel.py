"""A client of the primary that Sentinels name: where it is now is asked for each new connection.

https://redis.io/docs/latest/develop/reference/sentinel-clients/
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from zaptrix.broker.connection.address import Address

SENTINEL_S_MAX = 2.0

SentinelPool = SentinelConnectionPool


class Primary(Redis):
    """Redis's commands, of whoever is the primary."""

    async def aclose(self, *args: Any, **options: Any) -> None:
        await super().aclose(*args, **options)
        pool = self.connection_pool
        assert isinstance(pool, SentinelConnectionPool)
        await pool.sentinel_manager.aclose()


class Sentinels(Sentinel):
    """All of them are asked at once, as one that is away would take the time in which another can answer."""

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Where the primary is. Raises MasterNotFoundError, one of `AWAY`."""
        asked = [asyncio.create_task(primary_told_by(sentinel, service_name)) for sentinel in self.sentinels]
        try:
            for answer in asyncio.as_completed(asked):
                with suppress(RedisError, OSError):
                    if (found := await answer) is not None:
                        return found
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise MasterNotFoundError("no Sentinel names a primary")


async def primary_told_by(sentinel: Redis, service: str) -> tuple[str, int] | None:
    """None: it knows no such service."""
    found: Any = await sentinel.sentinel_get_master_addr_by_name(service)
    return None if found is None else (str(found[0]), int(found[1]))


def sentinels_of(where: Address) -> Sentinels:
    """Nothing is dialled yet."""
    hosts = [tuple(host) for host in where.hosts]
    options = {
        "decode_responses": True,
        "socket_connect_timeout": SENTINEL_S_MAX,
        "socket_timeout": SENTINEL_S_MAX,
        "retry": Retry(NoBackoff(), 0),  # there are others
        **where.sentinel_options,
    }
    return Sentinels(hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]


def primary_of(where: Address, pool: type[SentinelConnectionPool], options: dict[str, Any]) -> Redis:
    """Its client, with connections of a pool of that class. Nothing is dialled yet."""
    client: Redis = sentinels_of(where).master_for(
        where.service, redis_class=Primary, connection_pool_class=pool, **options
    )
    return client
