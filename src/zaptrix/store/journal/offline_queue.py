"""Offline queues: which portals keep one for us, and how far reading it has got."""

from __future__ import annotations

import msgspec

from zaptrix.core.ids import PortalId
from zaptrix.store.connection.database import Connection


class OfflineQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A portal's queue that it is time to see to.

    `wanted`: it is to be bound; `unsure`: nobody looked whether it is, since the portal or a line of it was changed.
    `keeps`: rows stay until they are cleared; None: not asked yet. `asking`: who asked last may not have cleared them.
    """

    portal_id: PortalId
    wanted: bool
    unsure: bool
    keeps: bool | None
    asking: bool


# Spread, so that portals which began together do not stay together. One without a channel has nobody who writes.
_DUE = """
WITH fresh AS (
    INSERT INTO offline_queue (portal_id) SELECT p.id FROM portal_config p
    WHERE p.offline_events AND NOT EXISTS (SELECT 1 FROM offline_queue q WHERE q.portal_id = p.id)
    ON CONFLICT DO NOTHING
), known AS (
    SELECT q.portal_id, q.bound_at, p.offline_events AND lines.any AS wanted,
        q.bound_at IS NULL OR q.bound_at < greatest(p.updated_at, lines.registered_at) AS unsure
    FROM offline_queue q JOIN portal_config p ON p.id = q.portal_id CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS any, max(registered_at) AS registered_at FROM channel WHERE portal_id = p.id
    ) lines
    WHERE p.paused_at IS NULL AND (q.next_at <= now() OR p.updated_at > q.asked_at)
), due AS (
    SELECT k.portal_id, k.wanted, k.unsure FROM known k JOIN offline_queue q ON q.portal_id = k.portal_id
    WHERE k.wanted OR k.bound_at IS NOT NULL ORDER BY q.next_at LIMIT $2 FOR UPDATE OF q SKIP LOCKED
)
UPDATE offline_queue q SET next_at = now() + make_interval(secs => $1 * (0.75 + random() / 2)), asked_at = now()
FROM due WHERE q.portal_id = due.portal_id RETURNING q.portal_id, due.wanted, due.unsure, q.keeps, q.asking
"""
_ONE = "SELECT portal_id, true AS wanted, false AS unsure, keeps, asking FROM offline_queue WHERE portal_id = $1"
_BOUND = "UPDATE offline_queue SET bound_at = CASE WHEN $2 THEN now() END, keeps = NULL WHERE portal_id = $1"
_ASKING = "UPDATE offline_queue SET asking = true, keeps = $2 WHERE portal_id = $1"
_DRAINED = "UPDATE offline_queue SET asking = false, keeps = $2, refused_reason = NULL WHERE portal_id = $1"
_PUT_OFF = """
UPDATE offline_queue SET next_at = now() + make_interval(secs => $2), refused_reason = left($3, 500)
WHERE portal_id = $1
"""


async def due(connection: Connection, every_s: float, limit: int) -> list[OfflineQueue]:
    """Queues to see to now; they are due again in `every_s`, or when their portal is changed."""
    return [OfflineQueue(**row) for row in await connection.fetch(_DUE, every_s, limit)]


async def one(connection: Connection, portal_id: PortalId) -> OfflineQueue | None:
    """A portal's queue, due or not; None when it has none that was ever seen to."""
    row = await connection.fetchrow(_ONE, portal_id)
    return OfflineQueue(**row) if row else None


async def bound(connection: Connection, portal_id: PortalId, *, is_bound: bool) -> None:
    """Whether the event is bound to the queue. What the plan allows is asked anew."""
    await connection.execute(_BOUND, portal_id, is_bound)


async def asking(connection: Connection, portal_id: PortalId, *, keeps: bool) -> None:
    """Rows are asked for now: should nobody say `drained`, some may still be kept for a reader who is gone."""
    await connection.execute(_ASKING, portal_id, keeps)


async def drained(connection: Connection, portal_id: PortalId, *, keeps: bool) -> None:
    await connection.execute(_DRAINED, portal_id, keeps)


async def put_off(connection: Connection, portal_id: PortalId, wait_s: float, refused_reason: str | None) -> None:
    """The portal does not answer now, or refuses for a reason that an admin has to see to."""
    await connection.execute(_PUT_OFF, portal_id, wait_s, refused_reason)
