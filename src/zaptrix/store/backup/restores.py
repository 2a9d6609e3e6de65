"""What is known of a ledger that was restored from a backup.

What it holds as open may have been done since its dump, so each such message is marked and verified first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from zaptrix.core.ids import ConversationId
from zaptrix.core.recovery import Shown
from zaptrix.store.connection.database import Connection, Session


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
SELECT $1, coalesce($2, now()), (SELECT count(*) FROM open WHERE direction = 'inbound'),
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


async def mark(connection: Session, dumped_at: datetime, until: datetime | None) -> Marked:
    """The rows that were just loaded are of `dumped_at`. The old gateway went on until `until`; None: not known."""
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


_GAPS = """
WITH told AS (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::boolean[]) AS t(conversation_id, key, customers)
), missing AS (
    SELECT t.* FROM told t JOIN conversation_mapping c ON c.id = t.conversation_id
    WHERE CASE WHEN t.customers
        THEN NOT EXISTS (SELECT 1 FROM message m WHERE m.channel_id = c.channel_id AND m.whatsapp_id = t.key)
        ELSE NOT EXISTS (
            SELECT 1 FROM message m WHERE m.portal_id = c.portal_id AND m.bitrix_message_id = t.key::bigint) END
), before AS (
    SELECT DISTINCT conversation_id FROM restore_gap WHERE restore_id = $1 AND conversation_id = ANY($2)
), added AS (
    INSERT INTO restore_gap (restore_id, conversation_id, key, customers)
    SELECT $1, conversation_id, key, customers FROM missing ON CONFLICT DO NOTHING RETURNING conversation_id
)
SELECT DISTINCT conversation_id FROM added EXCEPT SELECT conversation_id FROM before
"""


async def add_gaps(
    connection: Connection, restore: Restore, found: Sequence[tuple[ConversationId, Shown]]
) -> list[ConversationId]:
    """Note what stands in chats and not in the ledger; the conversations of which it was not known before."""
    rows = await connection.fetch(
        _GAPS,
        restore.id,
        [talk for talk, _ in found],
        [shown.key for _, shown in found],
        [shown.customers for _, shown in found],
    )
    return [ConversationId(row["conversation_id"]) for row in rows]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the last restore from a backup has done and missed."""

    dumped_at: Annotated[datetime, Meta(description="The moment that the backup shows.")]
    until: Annotated[
        datetime,
        Meta(description="Until then the old installation may have sent; what it did since the backup is unknown."),
    ]
    restored_at: datetime
    open_inbound: Annotated[int, Meta(description="Messages to operators that were open in the backup.")]
    open_outbound: Annotated[int, Meta(description="Messages to customers that were open in the backup.")]
    open_events: Annotated[int, Meta(description="Webhooks that were not routed in the backup.")]
    to_verify: Annotated[int, Meta(description="Messages that may have been sent before, and are looked for still.")]
    perhaps_sent: Annotated[
        int, Meta(description="Messages that may have been sent before and were not sent again: dead letters.")
    ]
    portals_to_look_at: Annotated[
        int, Meta(description="Portals whose histories are not compared with the ledger yet.")
    ]
    portals_paused: Annotated[
        int, Meta(description="Portals that are paused, as with old tokens: authorise them anew.")
    ]
    missing_from_customers: Annotated[
        int, Meta(description="Customers' messages that stand in the chats and not in the ledger.")
    ]
    missing_from_operators: Annotated[
        int, Meta(description="Operators' messages that were delivered and are not in the ledger.")
    ]
    conversations_with_gaps: Annotated[int, Meta(description="Conversations whose operators were told of the restore.")]
    unknowable: Annotated[str, Meta(description="What cannot be found out, in words.")] = ""


_REPORT = """
SELECT r.dumped_at, r.until, r.restored_at, r.inbound AS open_inbound, r.outbound AS open_outbound,
    r.events AS open_events,
    (SELECT count(*) FROM message WHERE state IN ('pending', 'sending', 'verifying') AND suspect) AS to_verify,
    (SELECT count(*) FROM message WHERE state = 'dead' AND error_code = 'perhaps_sent') AS perhaps_sent,
    (SELECT count(*) FROM recovery WHERE away_until IS NOT NULL AND ended_at IS NULL) AS portals_to_look_at,
    (SELECT count(*) FROM portal_config WHERE paused_at IS NOT NULL) AS portals_paused,
    (SELECT count(*) FROM missing WHERE customers) AS missing_from_customers,
    (SELECT count(*) FROM missing WHERE NOT customers) AS missing_from_operators,
    (SELECT count(DISTINCT conversation_id) FROM restore_gap WHERE restore_id = r.id) AS conversations_with_gaps
FROM (SELECT * FROM restore ORDER BY id DESC LIMIT 1) r
"""
# Meta tells again of what nobody had taken, and then the ledger has it after all.
_MISSING = """
WITH missing AS (
    SELECT g.conversation_id, g.customers FROM restore_gap g JOIN conversation_mapping c ON c.id = g.conversation_id
    WHERE g.restore_id = (SELECT max(id) FROM restore) AND CASE WHEN g.customers
        THEN NOT EXISTS (SELECT 1 FROM message m WHERE m.channel_id = c.channel_id AND m.whatsapp_id = g.key)
        ELSE NOT EXISTS (
            SELECT 1 FROM message m WHERE m.portal_id = c.portal_id AND m.bitrix_message_id = g.key::bigint) END
)
"""


async def report(connection: Connection) -> Report | None:
    """Of the last restore; None: this ledger was never restored."""
    row = await connection.fetchrow(_MISSING + _REPORT)
    return Report(**row) if row else None
