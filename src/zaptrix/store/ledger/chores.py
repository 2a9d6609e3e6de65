"""Chores that have something to do, all asked for in one statement: an idle installation asks for nothing else.

Each answer may be yes without need, and never no without: who is told yes looks himself, one process at a time.
"""

from __future__ import annotations

from enum import StrEnum

from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger.claims import ROUND_OF
from zaptrix.store.ledger.confirmations import OF_ROUND


class Chore(StrEnum):
    """What is done as long as a look at its rows says so."""

    SWEEP = "sweep"
    RECOVER = "recover"
    OFFLINE = "read offline events"
    RELEASE = "release"
    ERASE = "erase"


# Of a message that a process of the release before confirms.
_OWNER_IN_ROW = "(CASE direction WHEN 'inbound' THEN channel_id ELSE portal_id END)"
# What is open is looked for in the order of its index: whatever the statistics say of how much that is, and they may be
# of a minute with a backlog, the planner must not read a table from its beginning.
_OPEN = """(SELECT true FROM message WHERE state IN ('pending', 'sending', 'verifying')
    ORDER BY lane_id, conversation_id, id LIMIT 1)"""
_NEW = "(SELECT true FROM event WHERE state = 'new' ORDER BY source, split_part(lane, '.', -1), id LIMIT 1)"
_HELD = "(SELECT true FROM event WHERE state = 'held' ORDER BY received_at LIMIT 1)"
_TO_CONFIRM = f"(SELECT true FROM confirmation ORDER BY direction, {OF_ROUND}, due_at LIMIT 1)"  # noqa: S608
_TO_CONFIRM_IN_ROW = f"""(SELECT true FROM message WHERE confirm_due_at IS NOT NULL
    ORDER BY direction, {ROUND_OF.format(owner=_OWNER_IN_ROW)}, confirm_due_at LIMIT 1)"""  # noqa: S608
_WAITING = f"""
SELECT
    coalesce({_OPEN}, {_NEW}, {_TO_CONFIRM}, {_TO_CONFIRM_IN_ROW}, false)
        OR EXISTS (SELECT FROM parked_receipt) OR EXISTS (SELECT FROM worker WHERE ended_at IS NOT NULL) AS sweep,
    EXISTS (
        SELECT FROM portal_config p LEFT JOIN recovery r ON r.portal_id = p.id
        WHERE p.paused_at IS NULL AND (r.portal_id IS NULL OR r.next_at <= now()
            OR (r.refused_reason IS NOT NULL AND p.updated_at > r.ended_at))
    ) AS recover,
    EXISTS (SELECT FROM portal_config WHERE offline_events) OR EXISTS (SELECT FROM offline_queue)
        AS "read offline events",
    coalesce({_HELD}, false) AS release,
    EXISTS (SELECT FROM erasure_journal) OR EXISTS (SELECT FROM erasure_blob) AS erase
"""  # noqa: S608


async def waiting(connection: Connection) -> frozenset[Chore]:
    """Those that have something to do."""
    row = await connection.fetchrow(_WAITING)
    assert row is not None
    return frozenset(chore for chore in Chore if row[chore])
