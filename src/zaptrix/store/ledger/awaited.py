"""Awaited confirmations: one narrow row for each arrival that the side where a message came from is to be told of.

Written by whoever learns that a message has arrived: by the statement that settles it, or by a receipt that is there
before. `confirmations.py` claims and ends them. A row has no foreign key, which would lock its message: one whose
message is gone, or has failed since, is dropped when it is claimed.

Whoever changes messages and these rows takes the messages first, each by their ids (lock order: docs/adr/0034).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from zaptrix.core.ids import MessageId
from zaptrix.store.connection.database import Connection

# Who is to be told: the channel of a customer's message, the portal of an operator's.
_OWNER = "(CASE direction WHEN 'inbound' THEN channel_id ELSE portal_id END)"

AWAIT = f"""
INSERT INTO confirmation (message_id, direction, owner_id, due_at)
SELECT id, direction, {_OWNER}, now() + make_interval(secs => confirm_in_s) FROM settled
WHERE confirm_in_s IS NOT NULL ORDER BY id
ON CONFLICT (message_id) DO UPDATE SET due_at = excluded.due_at, attempts = 0
"""  # noqa: S608
"""A part of the statement that settles: of its `settled` (id, direction, channel_id, portal_id, confirm_in_s), a row
for each whose `confirm_in_s` is not NULL, due in so many seconds."""

_AWAIT_NOW = f"""
WITH settled AS (SELECT id, direction, channel_id, portal_id, 0::float8 AS confirm_in_s FROM message WHERE id = ANY($1))
{AWAIT}
"""  # noqa: S608
_WITHDRAW = "DELETE FROM confirmation WHERE message_id = ANY($1)"


_HASTEN = """
WITH mine AS MATERIALIZED (
    SELECT message_id FROM confirmation WHERE owner_id = ANY($1) AND due_at > now() FOR UPDATE SKIP LOCKED
)
UPDATE confirmation SET due_at = now() WHERE message_id = ANY(ARRAY(SELECT message_id FROM mine))
"""


async def hasten(connection: Connection, owners: Sequence[UUID]) -> None:
    """What is to be told to these portals and channels is due now: what it waited for has been repaired."""
    await connection.execute(_HASTEN, owners)


async def await_now(connection: Connection, ids: Sequence[MessageId]) -> None:
    """The arrival of these messages is to be told; the caller holds their locks."""
    if ids:
        await connection.execute(_AWAIT_NOW, ids)


async def withdraw(connection: Connection, ids: Sequence[MessageId]) -> None:
    """Nothing is to be told of these messages: they failed after all. The caller holds their locks."""
    if ids:
        await connection.execute(_WITHDRAW, ids)
