"""Figures of the gateway, worked out by one worker for all: what would cost too much at each look of each gateway.

Which number has gone silent is judged by its own past: in the same hours a week ago customers wrote to it, and now
nobody has. An hour's count is a row; messages are counted once, by their ids, so that a look costs what came since the
last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from zaptrix.core import limits
from zaptrix.store.connection.database import Connection

_PUT = """
INSERT INTO figure (name, value, good_until)
SELECT f.name, f.value, now() + make_interval(secs => $3) FROM unnest($1::text[], $2::float8[]) AS f(name, value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, good_until = excluded.good_until
"""
_READ = "SELECT name, value FROM figure WHERE good_until > now()"


async def put(connection: Connection, figures: Mapping[str, float], good_s: float) -> None:
    """Keep these figures for all to read, for so long."""
    await connection.execute(_PUT, list(figures), list(figures.values()), good_s)


async def read(connection: Connection) -> dict[str, float]:
    """Those that are still good."""
    return {row["name"]: row["value"] for row in await connection.fetch(_READ)}


class DatabaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What PostgreSQL tells of itself."""

    size_bytes: int
    sessions: int
    sessions_max: int
    oldest_transaction_s: float


_FACTS = """
SELECT pg_database_size(current_database()) AS size_bytes,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
    current_setting('max_connections')::int AS sessions_max,
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    ) AS oldest_transaction_s
"""


async def database_facts(connection: Connection) -> DatabaseFacts:
    """Size, connections and the oldest transaction."""
    row = await connection.fetchrow(_FACTS)
    assert row is not None
    return DatabaseFacts(**row)


_BEGIN = """
INSERT INTO channel_hour_count (message_id) SELECT coalesce(max(id), 0) FROM message ON CONFLICT DO NOTHING
"""
# By the primary key, and no more than so many at a time. What was given its id before the last look and was committed
# after it is left out: a few of many.
_COUNT = """
WITH since AS MATERIALIZED (SELECT message_id AS id FROM channel_hour_count FOR UPDATE),
new AS MATERIALIZED (
    SELECT m.id, m.channel_id, m.created_at, m.direction, m.origin FROM message m
    WHERE m.id > (SELECT id FROM since) ORDER BY m.id LIMIT $1
),
counted AS (
    INSERT INTO channel_hour (hour, channel_id, messages)
    SELECT date_trunc('hour', new.created_at), new.channel_id, count(*) FROM new JOIN channel ON channel.id = channel_id
    WHERE new.direction = 'inbound' AND new.origin = 'customer' GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (hour, channel_id) DO UPDATE SET messages = channel_hour.messages + excluded.messages
)
UPDATE channel_hour_count SET message_id = coalesce((SELECT max(id) FROM new), message_id)
"""
_DROP_OLD = "DELETE FROM channel_hour WHERE hour < now() - make_interval(days => $1)"


async def count_hours(connection: Connection) -> None:
    """Count the customers' messages that came since the last time."""
    await connection.execute(_BEGIN)
    await connection.execute(_COUNT, limits.HOURS_COUNTED_AT_ONCE)
    await connection.execute(_DROP_OLD, limits.HOURS_KEPT_DAYS)


_SILENT = """
WITH hours AS (
    SELECT date_trunc('hour', now()) - make_interval(hours => n) AS hour FROM generate_series(0, $1::int) AS n
),
busy AS (
    SELECT h.channel_id AS id FROM channel_hour h
    WHERE h.hour = ANY(ARRAY(SELECT hour - interval '7 days' FROM hours WHERE hour < date_trunc('hour', now())))
    GROUP BY 1 HAVING sum(h.messages) >= $2
)
SELECT busy.id, NOT EXISTS (
    SELECT FROM channel_hour n WHERE n.channel_id = busy.id AND n.hour = ANY(ARRAY(SELECT hour FROM hours))
) AS silent
FROM busy
"""
_CHANNELS = "SELECT count(*) FROM channel"


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """How the numbers of all portals do."""

    connected: int
    busy: int
    silent: frozenset[UUID]


async def numbers(connection: Connection) -> Numbers:
    """Which numbers were busy in these hours a week ago, and hear nothing now."""
    rows = await connection.fetch(_SILENT, limits.SILENT_HOURS, limits.BUSY_MESSAGES_MIN)
    return Numbers(
        connected=await connection.fetchval(_CHANNELS),
        busy=len(rows),
        silent=frozenset(row["id"] for row in rows if row["silent"]),
    )
