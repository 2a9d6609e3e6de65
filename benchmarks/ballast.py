"""What a house has gathered in years, loaded in minutes: conversations, messages, and a day of the journal.

Rows are made inside PostgreSQL, in the product's own tables and in the order in which they would have come: every
conversation's first message, every conversation's second, and so on. Indexes are made anew afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import asyncpg
import msgspec

from benchmarks.tenants import Tenant

MAINTENANCE = "SET maintenance_work_mem = '512MB'"
# Checks of foreign keys, row by row, would double the time for rows that we make right ourselves.
UNCHECKED = "SET session_replication_role = replica"
DAYS_KEPT = 30  # the journal's, so that today's partition holds its share of the events

_CONVERSATIONS = """
INSERT INTO conversation_mapping (portal_id, channel_id, meta_whatsapp_id, bsuid, wa_id, phone, contact_name,
    window_expires_at, last_message_at, created_at)
SELECT t.portal_id, t.channel_id, w.wa_id, 'BR.' || (1000000000000000 + line), w.wa_id, '+' || w.wa_id,
    'Cliente ' || line, now() - interval '6 days', now() - interval '7 days', now() - interval '300 days'
FROM generate_series($1::bigint, $2::bigint - 1) AS line
CROSS JOIN LATERAL (SELECT '5511' || (900000000 + line) AS wa_id) w
JOIN unnest($3::uuid[], $4::uuid[]) WITH ORDINALITY AS t(portal_id, channel_id, nth)
    ON t.nth = 1 + line % cardinality($3::uuid[])
ORDER BY line
"""
# One in two is an operator's answer, with its ids on both sides. $1 is the round, $2 the first new one.
_MESSAGES = """
INSERT INTO message (portal_id, channel_id, conversation_id, lane_id, direction, kind, origin, content, state,
    whatsapp_id, bitrix_chat_id, bitrix_message_id, request_id, written_at, created_at, sent_at, delivered_at, due_at)
SELECT portal_id, channel_id, id, CASE WHEN answer THEN channel_id ELSE portal_id END,
    CASE WHEN answer THEN 'outbound' ELSE 'inbound' END, 'text', CASE WHEN answer THEN 'operator' ELSE 'customer' END,
    '{"type":"text","text":{"spans":[{"text":"Bom dia! Gostaria de saber se o pedido ja saiu para entrega."}]}}',
    CASE WHEN answer THEN 'delivered' ELSE 'sent' END,
    'wamid.OLD' || $1::int || '.' || id, CASE WHEN answer THEN 700000000 + nth END,
    CASE WHEN answer THEN 5000000000 + ($2::bigint + nth) * 100 + $1::int END,
    replace(gen_random_uuid()::text, '-', ''), at, at, at, CASE WHEN answer THEN at END, at
FROM (
    SELECT portal_id, channel_id, id, row_number() OVER () AS nth, $1::int % 2 = 1 AS answer,
        now() - make_interval(days => 200 - $1::int) AS at
    FROM conversation_mapping WHERE bsuid >= 'BR.' || (1000000000000000 + $2::bigint)
) c
"""
_EVENTS = """
INSERT INTO event (source, name, key, lane, body, request_id, state, routed_at, received_at)
SELECT 'whatsapp', 'messages.text', decode(md5('ballast ' || $1::bigint + n), 'hex'), $2::text || '.' || n % 8,
    convert_to(repeat('x', 500), 'UTF8'), md5(n::text), 'routed', now(), now()
FROM generate_series(1, $3::bigint) AS n
"""


class Ballast(msgspec.Struct, frozen=True, kw_only=True):
    """How large a house is."""

    conversations: int
    messages_each: int

    async def load(self, database_url: str, tenants: Sequence[Tenant], *, already: int) -> None:
        """Fill the house up to this size; `already` so many conversations are there. Shows its progress."""
        began = time.monotonic()
        connection = await asyncpg.connect(database_url, timeout=60)
        try:
            await connection.execute(MAINTENANCE)
            await connection.execute(UNCHECKED)
            indexes = await _put_aside(connection)
            await connection.execute(
                _CONVERSATIONS,
                already,
                self.conversations,
                [tenant.portal_id for tenant in tenants],
                [tenant.channel_id for tenant in tenants],
            )
            for turn in range(self.messages_each):
                await connection.execute(_MESSAGES, turn, already)
                self._tell(f"messages {turn + 1}/{self.messages_each}", began)
            events = (self.conversations - already) * self.messages_each // DAYS_KEPT
            await connection.execute(_EVENTS, already, tenants[0].number, events)
            for index in indexes:
                await connection.execute(index)
            self._tell("indexes", began)
            for table in ("conversation_mapping", "message", "event"):
                await connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
            await connection.execute("CHECKPOINT")
            self._tell("ready", began)
        finally:
            await connection.close()

    def _tell(self, what: str, began: float) -> None:
        print(f"   {self.conversations:,} conversations: {what}, {time.monotonic() - began:.0f} s", flush=True)


_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'message' AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


async def _put_aside(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Drop the ledger's indexes; the statements that make them again."""
    rows = await connection.fetch(_INDEXES)
    for row in rows:
        await connection.execute(f"DROP INDEX {row['indexname']}")
    return [row["indexdef"] for row in rows]
