"""Alembic's entry: runs the revisions over asyncpg, one process at a time."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from zaptrix.store.dialling import Dialler

_LOCK = 7_236_400_127  # "one migration at a time", among the advisory locks of the database


def _migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    connection.commit()
    try:
        context.configure(connection=connection, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()


async def _run(url: str) -> None:
    # The address is read as by the pool: one address, one meaning (`sslmode`, sockets, hosts).
    engine = create_async_engine("postgresql+asyncpg://", async_creator=Dialler(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


asyncio.run(_run(context.config.attributes["database_url"]))
