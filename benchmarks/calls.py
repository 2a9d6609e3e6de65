"""How often PostgreSQL and Redis were called: round trips cost what no profile of our own processes shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import redis.asyncio

COMMANDS = "Redis commands"
TRANSACTIONS = "PostgreSQL transactions"
# A server process of PostgreSQL's tells its counts when it has been idle for this long, at the latest (its own
# PGSTAT_IDLE_INTERVAL); one that is in use does each second.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
TOLD_AFTER_S = 10.5

_TRANSACTIONS = """
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""


class Calls:
    """Counts from `start` on."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], client: redis.asyncio.Redis) -> None:
        self._connection = connection
        self._client = client
        self._before = (0, 0)

    async def start(self) -> None:
        self._before = await self.commands(), await self.transactions()

    async def read(self) -> dict[str, int]:
        """What others called since `start`; our own question is left out."""
        commands, transactions = await self.commands(), await self.transactions()
        return {
            COMMANDS: max(commands - self._before[0] - 1, 0),
            TRANSACTIONS: max(transactions - self._before[1] - 1, 0),
        }

    async def commands(self) -> int:
        """Those from outside and those that scripts made."""
        told = await self._client.info("commandstats")
        return sum(int(each["calls"]) for each in told.values())

    async def transactions(self) -> int:
        return int(await self._connection.fetchval(_TRANSACTIONS))


@asynccontextmanager
async def counting(database_url: str, redis_url: str) -> AsyncIterator[Calls]:
    connection = await asyncpg.connect(database_url)
    try:
        async with redis.asyncio.from_url(redis_url) as client:
            calls = Calls(connection, client)
            await calls.start()
            yield calls
    finally:
        await connection.close()
