"""A restored ledger is suspect: what it holds as open may have been done since its dump. What is known of that."""

from __future__ import annotations

from datetime import datetime

import msgspec

from zaptrix.store.database import Connection, Session


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """What a restored ledger held as open."""

    inbound: int
    outbound: int
    events: int


_RESTORE = """
WITH open AS (
    UPDATE message SET state = 'verifying', suspect = true, attempt_id = NULL, claimed_at = NULL, due_at = now()
    WHERE state IN ('pending', 'sending', 'verifying') RETURNING direction
), waiting AS (
    SELECT count(*) AS many FROM event WHERE state IN ('new', 'held')
)
INSERT INTO restore (dumped_at, until, inbound, outbound, events)
SELECT $1, $2, (SELECT count(*) FROM open WHERE direction = 'inbound'),
    (SELECT count(*) FROM open WHERE direction = 'outbound'), waiting.many FROM waiting
RETURNING inbound, outbound, events
"""
# The histories are looked at from the dump on. How long nobody was there is not known, and Meta's statuses of what is
# sent from now on come at once.
_OUTAGE = """
WITH last AS (SELECT coalesce(max(at), $1) AS at FROM gateway_beat)
INSERT INTO recovery AS r (portal_id, away_from, away_until, next_at)
SELECT p.id, least(last.at, $1), now(), now() FROM portal_config p CROSS JOIN last
ON CONFLICT (portal_id) DO UPDATE SET away_from = excluded.away_from, away_until = excluded.away_until,
    ended_at = NULL, next_at = now(), refused_reason = NULL
"""
_BEAT = "UPDATE gateway_beat SET at = now(), statuses_until = NULL"


async def mark(connection: Session, dumped_at: datetime, until: datetime) -> Marked:
    """The rows that were just loaded are of `dumped_at`, and the old house went on until `until` at the most."""
    row = await connection.fetchrow(_RESTORE, dumped_at, until)
    assert row is not None
    await connection.execute(_OUTAGE, dumped_at)
    await connection.execute(_BEAT)
    return Marked(**row)


class Restore(msgspec.Struct, frozen=True, kw_only=True):
    """The last restore: the ledger knows nothing of what was done from `dumped_at` to `until`."""

    id: int
    dumped_at: datetime
    until: datetime


_LATEST = "SELECT id, dumped_at, until FROM restore ORDER BY id DESC LIMIT 1"


async def latest(connection: Connection) -> Restore | None:
    row = await connection.fetchrow(_LATEST)
    return Restore(**row) if row else None
