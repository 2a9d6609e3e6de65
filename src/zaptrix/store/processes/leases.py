"""Leases: what one process in the cluster does at a time, a row each with the moment when it ends by itself.

No lock of a session: a process that freezes, or a host that loses its power without a goodbye, would keep that for as
long as PostgreSQL believes in the connection, hours by Linux's defaults; and behind a pooler that shares sessions it is
nobody's. A lease outlives its holder by `LEASE_S` at the most, and a holder that comes to itself later finds its
deadline passed (`zaptrix.deadlines`) and another's name in the row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

from zaptrix.core.limits import LEASE_LOOK_S, LEASE_RENEW_S, LEASE_S
from zaptrix.deadlines import Deadline, Stopping
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.tasks import ended

# Who finds it taken writes nothing, not even a row lock.
_TAKE = """
INSERT INTO lease AS l (name, holder, ends_at)
SELECT $1, $2, clock_timestamp() + make_interval(secs => $3)
WHERE NOT EXISTS (SELECT FROM lease WHERE name = $1 AND ends_at > clock_timestamp())
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
    WHERE l.ends_at <= clock_timestamp()
RETURNING true
"""
_RENEW = """
UPDATE lease SET ends_at = clock_timestamp() + make_interval(secs => $3) WHERE name = $1 AND holder = $2 RETURNING true
"""
_GIVE_BACK = "DELETE FROM lease WHERE name = $1 AND holder = $2"


@asynccontextmanager
async def lease(database: Database, name: str, stopping: Stopping | None = None) -> AsyncIterator[Deadline | None]:
    """How long `name` is ours, renewed until the end of the block; None: it is another's. Raises StoreUnavailable."""
    holder, asked_s = uuid4(), elapsed_s()
    async with database.connection() as connection:
        taken = await connection.fetchval(_TAKE, name, holder, LEASE_S)
    if not taken:
        yield None
        return
    deadline = (stopping or Stopping()).deadline(asked_s, LEASE_S)
    renewing = asyncio.create_task(_renew(database, name, holder, deadline))
    try:
        yield deadline
    finally:
        await ended([renewing])
        with suppress(StoreUnavailable):  # it ends by itself
            async with database.connection() as connection:
                await connection.execute(_GIVE_BACK, name, holder)


async def _renew(database: Database, name: str, holder: UUID, deadline: Deadline) -> None:
    while True:
        await asyncio.sleep(LEASE_RENEW_S)
        asked_s = elapsed_s()
        with suppress(StoreUnavailable):
            async with database.connection() as connection:
                ours = await connection.fetchval(_RENEW, name, holder, LEASE_S)
            if not ours:
                deadline.cut(0.0)
                return
            deadline.renew(asked_s, LEASE_S)


@asynccontextmanager
async def awaited_lease(database: Database, name: str) -> AsyncIterator[Deadline]:
    """The same, as soon as nobody else has it. Raises StoreUnavailable."""
    while True:
        async with lease(database, name) as deadline:
            if deadline is not None:
                yield deadline
                return
        await asyncio.sleep(LEASE_LOOK_S)


@asynccontextmanager
async def turn(database: Database, chore: str, stopping: Stopping | None = None) -> AsyncIterator[bool]:
    """Whether it is ours to do `chore` now, which is cut off when it is ours no more.

    Raises StoreUnavailable, and TimeoutError when it was cut off.
    """
    async with lease(database, f"turn/{chore}", stopping) as deadline:
        if deadline is None:
            yield False
            return
        async with deadline.kept():
            yield True
