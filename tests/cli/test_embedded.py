"""The embedded servers: real ones, kept between runs, alone on their folder, gone at the end."""

import asyncpg
import redis.asyncio

from zaptrix.cli.embedded import Servers


async def test_a_test_has_a_database_and_a_redis(database_url: str, redis_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SHOW fsync") == "on"
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        assert await client.config_get("appendonly") == {"appendonly": "yes"}
        assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


async def test_a_second_start_finds_its_data(own_servers: Servers) -> None:
    connection = await asyncpg.connect(own_servers.postgres.url)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    await connection.close()
    own_servers.stop()
    own_servers.start()
    connection = await asyncpg.connect(own_servers.postgres.url)
    assert await connection.fetchval("SELECT one FROM kept") == 1
    await connection.close()
