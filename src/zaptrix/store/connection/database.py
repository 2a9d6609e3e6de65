"""The pool, the transaction and the one error that means "PostgreSQL is away"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from zaptrix.store.connection.dialling import Dialler, session

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # outside of the pool


class StoreUnavailable(Exception):
    """PostgreSQL cannot be reached, or cannot do its work just now: what was asked may be asked again."""


class StoreConflict(StoreUnavailable):
    """Two transactions waited for each other, and this one gave way: nothing of it was done, it can begin anew."""


class StoreRefused(Exception):
    """PostgreSQL will not take these values: they are of no use to it, or what they belong to is gone."""


_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, UnicodeEncodeError)
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # we stood still in the middle of one
    asyncpg.OperatorInterventionError,  # going down, coming up, cancelled by a person
    asyncpg.InsufficientResourcesError,  # disk or memory full, too many connections
    asyncpg.PostgresSystemError,  # its disk does not answer
    asyncpg.InternalClientError,  # it ended our session: its last word was read, and that it hung up not yet
)


_CLOSE_S_MAX = 3.0


class Database:
    """A pool of connections. `transaction()` is opened by the bridge and the API alone, once a step."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], acquire_timeout_s: float, *, pooled: bool = False) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s
        self.pooled = pooled
        """Whether a pooler in transaction mode is between."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside any transaction. Raises StoreUnavailable, also as StoreConflict, and StoreRefused."""
        try:
            async with self._pool.acquire(timeout=self._acquire_timeout_s) as connection:
                yield connection
        except _REFUSED as exc:
            raise StoreRefused(type(exc).__name__) from exc
        except asyncpg.TransactionRollbackError as exc:
            raise StoreConflict(type(exc).__name__) from exc
        except asyncpg.ReadOnlySQLTransactionError as exc:
            # The server was a primary when it was dialled. Each connection is made anew before it is used again.
            await self._pool.expire_connections()
            raise StoreUnavailable(type(exc).__name__) from exc
        except _AWAY as exc:
            raise StoreUnavailable(type(exc).__name__) from exc

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[Connection]:
        """A connection for what somebody waits for: all of it, connecting included, has so long.

        Raises StoreUnavailable and StoreRefused. What PostgreSQL was told when the time was over it may still do.
        """
        try:
            async with asyncio.timeout(seconds), self.connection() as connection:
                try:
                    yield connection
                except asyncio.CancelledError:
                    # It is not given back before its command has ended; one that hangs would hold up whoever waits.
                    with suppress(asyncpg.InterfaceError):
                        connection.terminate()
                    raise
        except TimeoutError as exc:
            raise StoreUnavailable("TimeoutError") from exc

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One committed transaction, or none. Raises StoreUnavailable and StoreRefused."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """A PostgreSQL that hangs does not keep a process from ending."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S_MAX):
                await self._pool.close()


# The state of a row that is looked up by its key. Partial indexes of what is open look empty in statistics of a quiet
# minute; compared as a plain column, the state would lead the planner to them, and each look-up would read all that is
# open. Measured with 4,000 messages open: a claim of 100 took 144 ms, and takes 7 as it stands.
STATE_BY_KEY = "(state || '')"


async def open_database(
    url: str,
    *,
    pooled: bool = False,
    pool_max: int = 10,
    command_timeout_s: float = 30.0,
    acquire_timeout_s: float = 5.0,
    wanted: str = "read-write",
) -> Database:
    """A pool on `url`; connections are made when first needed. Raises StoreUnavailable.

    `pooled`: a pooler in transaction mode is there. Then our sessions bring no settings, and their statements no names.
    `wanted`: which of several hosts will do, as libpq's `target_session_attrs`.
    """
    try:
        pool = await asyncpg.create_pool(
            url,
            connect=Dialler(url, wanted),
            min_size=0,
            max_size=pool_max,
            command_timeout=command_timeout_s,
            timeout=acquire_timeout_s,
            reset=_leave_as_it_is,
            **session(pooled=pooled),
        )
    except _AWAY as exc:
        raise StoreUnavailable(type(exc).__name__) from exc
    return Database(pool, acquire_timeout_s, pooled=pooled)


async def _leave_as_it_is(_connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nobody changes a session's settings, or takes locks of a session.

    The pool's own reset is a round trip and a transaction after every use: half of all transactions, when measured. An
    open transaction is rolled back before this is called.
    """


_REVISION = "SELECT version_num FROM alembic_version"


async def revision(database: Database) -> str | None:
    """The schema revision of the database, or None when it was never migrated. Raises StoreUnavailable."""
    async with database.connection() as connection:
        try:
            version: str | None = await connection.fetchval(_REVISION)
        except asyncpg.UndefinedTableError:
            return None
        return version
