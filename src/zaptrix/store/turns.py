"""Turns: a chore that one process in the cluster does at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zaptrix.store.database import Database

_TRY = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_END = "SELECT pg_advisory_unlock(hashtextextended($1, 0))"


@asynccontextmanager
async def turn(database: Database, chore: str) -> AsyncIterator[bool]:
    """Whether it is ours to do `chore` now; it stays ours until the end. Raises StoreUnavailable."""
    async with database.session() as connection:
        mine = bool(await connection.fetchval(_TRY, f"turn/{chore}"))
        try:
            yield mine
        finally:
            if mine:
                await connection.execute(_END, f"turn/{chore}")
