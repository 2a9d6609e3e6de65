"""Alembic's entry: runs the revisions over asyncpg, each in its own transaction, one process at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from zaptrix.core.installation import compatibility
from zaptrix.store.connection.dialling import Dialler
from zaptrix.store.schema.online_ddl import LOCK_TIMEOUT
from zaptrix.store.schema.schema import works_from

_LOCK = 7_236_400_127  # "one migration at a time", among the advisory locks of the database
_LOOK_S = 0.2


def _migrate(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection, transactional_ddl=True, transaction_per_migration=True, on_version_apply=_applied
    )
    with context.begin_transaction():
        context.run_migrations()


async def _alone(connection: AsyncConnection) -> None:
    """Asked again and again: a session that waits for the lock is in a transaction, and an index that is built
    concurrently by who holds the lock would wait for that. The lock ends with the session."""
    told = False
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        await connection.commit()
        if not told:
            context.config.attributes["busy"]()
            told = True
        await asyncio.sleep(_LOOK_S)
    await connection.commit()


def _applied(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:  # noqa: ARG001 - called by name
    """In the transaction of the step: beside the new revision stands which code works on it."""
    known, revision = context.config.attributes["known"], step.up_revision_id
    comment = compatibility.told(works_from(known, revision))
    ctx.impl.execute(text(f"COMMENT ON TABLE alembic_version IS '{comment}'"))
    if not ctx.as_sql:
        context.config.attributes["applied"](revision)


async def _run(url: str) -> None:
    # The address is read as by the pool: one address, one meaning (`sslmode`, sockets, hosts).
    engine = create_async_engine("postgresql+asyncpg://", async_creator=Dialler(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await _alone(connection)
            await connection.run_sync(_migrate)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql", transactional_ddl=True, transaction_per_migration=True, on_version_apply=_applied
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(_run(context.config.attributes["database_url"]))
