"""Real PostgreSQL and Redis for tests, started by the same code that `zaptrix up` runs. Never a mock of either."""

import asyncio
import importlib
import importlib.util
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import redis.asyncio

from zaptrix.cli.local.servers import Servers, servers_in

TEMPLATE = "zaptrix_migrated"

_numbers = itertools.count(1)


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """A pair of servers with their data in `folder`, stopped at the end."""
    servers = servers_in(folder)
    servers.start()
    try:
        yield servers
    finally:
        servers.stop()


def migrate_template(servers: Servers) -> str:
    """The name of a migrated database that is only ever copied."""

    async def make() -> None:
        await execute(servers, f'CREATE DATABASE "{TEMPLATE}"')
        # The store may not be built yet while its tests' foundations are.
        if importlib.util.find_spec("zaptrix.store") and importlib.util.find_spec("zaptrix.store.schema.migrate"):
            await importlib.import_module("zaptrix.store.schema.migrate").upgrade(servers.postgres.url_of(TEMPLATE))

    asyncio.run(make())
    return TEMPLATE


@asynccontextmanager
async def fresh_database(servers: Servers, *, template: str = TEMPLATE) -> AsyncIterator[str]:
    """The address of a database as a migration leaves it, nobody else's, dropped at the end."""
    name = f"test_{next(_numbers)}"
    await execute(servers, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield servers.postgres.url_of(name)
    await execute(servers, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def empty_redis(servers: Servers) -> str:
    """The address of a Redis with nothing in it."""
    async with redis.asyncio.from_url(servers.redis.url) as client:
        await client.flushall()
    return servers.redis.url


async def execute(servers: Servers, statement: str) -> None:
    connection = await asyncpg.connect(servers.postgres.url_of("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
