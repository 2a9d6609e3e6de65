"""All rows of a database, out of one snapshot and into an empty one, by COPY.

No program of PostgreSQL's is needed, which would have to be as new as the server: the schema comes of the migrations.
https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from graphlib import TopologicalSorter
from uuid import UUID

import msgspec

from zaptrix.core.installation.backup import Table
from zaptrix.store.accounts.resealing import SEALED
from zaptrix.store.connection.database import Session
from zaptrix.store.connection.dialling import Dialler
from zaptrix.store.journal import events

# Who did what at the moment of the dump.
_LEFT_OUT = ("alembic_version", "backoff", "figure", "lease", "media_store", "worker")
_ITS_OWN = ("channel_hour_count", "gateway_beat", "queue_total")  # what a gateway writes before it is used
_PIECES_AHEAD = 4
_SILENT_S = 15.0  # a gateway gives its sign of life every two seconds


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A table as it is to be dumped. `rows` is what PostgreSQL estimates."""

    name: str
    columns: tuple[str, ...]
    rows: int


class SnapshotFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of the whole snapshot."""

    at: datetime
    revision: str
    sequences: dict[str, int]
    days: tuple[str, ...]


_SHAPES = """
SELECT c.relname AS name,
    array_agg(a.attname::text ORDER BY a.attnum) AS columns,
    greatest(0, coalesce((SELECT sum(p.reltuples) FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
        WHERE i.inhparent = c.oid), max(c.reltuples)))::bigint AS rows
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attgenerated = ''
WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('alembic_version'))
    AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> ALL($1::text[])
GROUP BY c.oid, c.relname ORDER BY c.relname
"""
_REFERENCES = """
SELECT conrelid::regclass::text AS child, confrelid::regclass::text AS parent FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND conrelid <> confrelid
"""
# Those of identity columns, and the journal's.
_SEQUENCES = """
SELECT c.relname AS name, coalesce(pg_sequence_last_value(c.oid), 0) AS last FROM pg_class c
WHERE c.relkind = 'S'
    AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('alembic_version'))
"""
_REVISION = "SELECT version_num FROM alembic_version"


@asynccontextmanager
async def session(url: str) -> AsyncIterator[Session]:
    """A connection for long statements. Raises what asyncpg raises."""
    connection = await Dialler(url)(statement_cache_size=0)
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def snapshot(connection: Session) -> AsyncIterator[None]:
    """Everything that is read in it is of one moment, and nobody waits for it."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await _without_clocks(connection)
        yield


async def _without_clocks(connection: Session) -> None:
    # Of this transaction alone, so that a pooler may be between.
    await connection.execute(
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
        "SET LOCAL DateStyle = 'ISO'; SET LOCAL TimeZone = 'UTC'; SET LOCAL bytea_output = 'hex'"
    )


async def taken(connection: Session) -> SnapshotFacts:
    return SnapshotFacts(
        at=await connection.fetchval("SELECT now()"),
        revision=await connection.fetchval(_REVISION),
        sequences={row["name"]: row["last"] for row in await connection.fetch(_SEQUENCES)},
        days=tuple(_day(name).isoformat() for name in await events.partitions(connection)),
    )


async def shapes(connection: Session) -> list[Shape]:
    """Every table whose rows are kept, those that others refer to first."""
    found = {row["name"]: row for row in await connection.fetch(_SHAPES, _LEFT_OUT)}
    order = TopologicalSorter(dict.fromkeys(found, ()))
    for row in await connection.fetch(_REFERENCES):
        if row["child"] in found and row["parent"] in found:
            order.add(row["child"], row["parent"])
    return [
        Shape(name=name, columns=tuple(found[name]["columns"]), rows=found[name]["rows"])
        for name in order.static_order()
    ]


async def rows(connection: Session, shape: Shape) -> AsyncIterator[bytes]:
    """A table's rows, a line each."""
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_PIECES_AHEAD)

    async def fill() -> None:
        try:
            await connection.copy_from_query(f"SELECT {_listed(shape.columns)} FROM {shape.name}", output=pieces.put)  # noqa: S608
        finally:
            await pieces.put(None)

    task = asyncio.create_task(fill())
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        await task
    finally:
        task.cancel()


class NotEmpty(Exception):
    """There are rows where there must be none."""


async def check_empty(connection: Session) -> None:
    """Raises NotEmpty, with the name of a table that holds something. A schema without rows is empty."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        others = await connection.fetchval(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
        )
        if others:
            raise NotEmpty(others)
        return
    for shape in await shapes(connection):
        if shape.name not in _ITS_OWN and await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {shape.name})"):  # noqa: S608
            raise NotEmpty(shape.name)


async def revision(connection: Session) -> str | None:
    """None: it was never migrated."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found: str | None = await connection.fetchval(_REVISION)
    return found


_BEATS = "SELECT at > now() - make_interval(secs => $1) FROM gateway_beat"


async def is_served(connection: Session) -> bool:
    """Whether a gateway of this database gave its sign of life lately."""
    if await connection.fetchval("SELECT to_regclass('gateway_beat')") is None:
        return False
    return bool(await connection.fetchval(_BEATS, _SILENT_S))


_BLOBS = "SELECT DISTINCT blob->>'key' AS key FROM file WHERE blob IS NOT NULL ORDER BY 1"


async def blobs(connection: Session) -> list[str]:
    """The keys of files that rows name."""
    return [row["key"] for row in await connection.fetch(_BLOBS)]


async def media_mark(connection: Session) -> UUID | None:
    """The mark of the media store in use; None: nobody has used one."""
    found: UUID | None = await connection.fetchval("SELECT id FROM media_store")
    return found


@asynccontextmanager
async def loading(connection: Session) -> AsyncIterator[None]:
    """All that is loaded in it is there at its end, or nothing."""
    async with connection.transaction():
        await _without_clocks(connection)
        yield


async def add_days(connection: Session, days: Sequence[str]) -> None:
    """The journal's partitions. To be called outside of a transaction."""
    for day in days:
        await events.add_partition(connection, date.fromisoformat(day))


async def load(connection: Session, table: Table, source: AsyncIterable[bytes]) -> int:
    """Put a table's rows in; how many there were."""
    if table.name in _ITS_OWN:
        await connection.execute(f"DELETE FROM {table.name}")  # noqa: S608
    status = await connection.copy_to_table(table.name, source=source, columns=list(table.columns))
    return int(status.removeprefix("COPY "))


async def set_sequence(connection: Session, name: str, first: int) -> None:
    """The next id that it gives out is `first`, or a later one."""
    await connection.execute("SELECT setval($1::text::regclass, $2, false)", name, first)


async def count(connection: Session, name: str) -> int:
    number: int = await connection.fetchval(f"SELECT count(*) FROM {name}")  # noqa: S608
    return number


def secrets_in(table: Table, line: bytes) -> list[str]:
    """The sealed values of one row. They need no unescaping: Fernet's alphabet has nothing to escape."""
    values = dict(zip(table.columns, line.split(b"\t"), strict=True))
    return [values[name].decode() for name in SEALED.get(table.name, ()) if values.get(name, b"\\N") != b"\\N"]


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _day(partition: str) -> date:
    return datetime.strptime(partition.removeprefix("event_") + "+0000", "%Y%m%d%z").date()
