"""Receipts: what WhatsApp told of our messages moves them forward only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from zaptrix.core.event import Pricing, Receipt
from zaptrix.core.ids import ChannelId, ConversationId, MessageId, PortalId
from zaptrix.core.message.message import Origin, State
from zaptrix.core.message.states import RANK
from zaptrix.store.connection.database import Connection


class ChannelReceipt(msgspec.Struct, frozen=True):
    """A receipt and the channel that it came for."""

    channel_id: ChannelId
    receipt: Receipt


class MessageStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message stands when a receipt comes for it."""

    id: MessageId
    channel_id: ChannelId
    state: State
    whatsapp_id: str | None
    portal_id: PortalId
    conversation_id: ConversationId
    origin: Origin
    request_id: str | None
    notice_id: MessageId | None = None  # the line that told the operator that it failed


# Where a message stands. Once it was sent its state stays, and receipts write their times alone: `state` is in the
# predicates of indexes, so that each change of it is a new entry in all of a row's indexes; times alone are a HOT
# update. The other states are those that processes of the release before have written.
# https://www.postgresql.org/docs/current/storage-hot.html
STANDS = """CASE WHEN played_at IS NOT NULL AND state IN ('sent', 'delivered', 'read') THEN 'played'
    WHEN read_at IS NOT NULL AND state IN ('sent', 'delivered') THEN 'read'
    WHEN delivered_at IS NOT NULL AND state = 'sent' THEN 'delivered' ELSE state END"""

# By our own callback data, which every send carries; by the WhatsApp id for whatever else.
# Messages in the order of their ids, before conversations and confirmations (lock order: docs/adr/0034).
_STANDINGS = f"""
WITH told AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS t(channel_id, message_id, whatsapp_id)
), found AS (
    SELECT m.id FROM told t JOIN message m ON m.id = t.message_id AND m.channel_id = t.channel_id
    UNION SELECT m.id FROM told t JOIN message m ON m.channel_id = t.channel_id AND m.whatsapp_id = t.whatsapp_id
)
SELECT id, channel_id, {STANDS} AS state, whatsapp_id, portal_id, conversation_id, origin, request_id, notice_id
FROM message
WHERE direction = 'outbound' AND id = ANY(ARRAY(SELECT id FROM found)) ORDER BY id FOR UPDATE
"""  # noqa: S608


async def standings(connection: Connection, told: Sequence[ChannelReceipt]) -> list[MessageStanding]:
    """The messages that receipts speak of, locked until the transaction ends."""
    rows = await connection.fetch(
        _STANDINGS,
        [t.channel_id for t in told],
        [t.receipt.message_id for t in told],
        [t.receipt.whatsapp_id for t in told],
    )
    return [
        MessageStanding(
            id=row["id"],
            channel_id=row["channel_id"],
            state=State(row["state"]),
            whatsapp_id=row["whatsapp_id"],
            portal_id=row["portal_id"],
            conversation_id=row["conversation_id"],
            origin=Origin(row["origin"]),
            request_id=row["request_id"],
            notice_id=row["notice_id"],
        )
        for row in rows
    ]


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """A message's step forward."""

    id: MessageId
    state: State
    at: datetime
    whatsapp_id: str
    code: str | None = None
    detail: str | None = None
    pricing: Pricing | None = None


# What is charged is what was delivered, and Meta says so with the first status and again with the next: so the price is
# written with the step that it comes with, and costs no statement of its own. The first word on it stays.
# Meta tells whole seconds: a receipt does not stand before our own, finer time of what came before it.
# `confirm_due_at` is of the release before: docs/adr/0031-confirmations-in-a-narrow-table.md.
_ADVANCE = """
UPDATE message m SET
    state = CASE WHEN a.state = 'dead' THEN 'dead' WHEN m.state IN ('delivered', 'read') THEN m.state ELSE 'sent' END,
    attempt_id = NULL, whatsapp_id = coalesce(m.whatsapp_id, a.whatsapp_id),
    sent_at = CASE WHEN a.state = 'dead' THEN m.sent_at ELSE coalesce(m.sent_at, a.at) END,
    delivered_at = CASE WHEN a.state IN ('delivered', 'read', 'played')
        THEN coalesce(m.delivered_at, greatest(a.at, m.sent_at)) ELSE m.delivered_at END,
    read_at = CASE WHEN a.state IN ('read', 'played')
        THEN coalesce(m.read_at, greatest(a.at, m.delivered_at, m.sent_at)) ELSE m.read_at END,
    played_at = CASE a.state WHEN 'played' THEN coalesce(m.played_at, greatest(a.at, m.read_at)) ELSE m.played_at END,
    price_category = coalesce(m.price_category, a.price_category),
    price_type = CASE WHEN m.price_category IS NULL THEN a.price_type ELSE m.price_type END,
    price_model = CASE WHEN m.price_category IS NULL THEN a.price_model ELSE m.price_model END,
    price_billable = CASE WHEN m.price_category IS NULL THEN a.price_billable ELSE m.price_billable END,
    dead_at = CASE a.state WHEN 'dead' THEN a.at END,
    error_code = CASE a.state WHEN 'dead' THEN a.code END,
    error_detail = CASE a.state WHEN 'dead' THEN a.detail END,
    confirm_due_at = CASE a.state WHEN 'dead' THEN NULL ELSE m.confirm_due_at END
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::boolean[])
    AS a(id, state, at, whatsapp_id, code, detail, price_category, price_type, price_model, price_billable)
WHERE m.id = a.id
"""


async def advance(connection: Connection, advances: Sequence[Advance]) -> None:
    """Move messages forward; the caller has locked them and judged each step, one a message."""
    await connection.execute(
        _ADVANCE,
        [a.id for a in advances],
        [a.state.value for a in advances],
        [a.at for a in advances],
        [a.whatsapp_id for a in advances],
        [a.code for a in advances],
        [a.detail for a in advances],
        [a.pricing and a.pricing.category for a in advances],
        [a.pricing and a.pricing.type for a in advances],
        [a.pricing and a.pricing.model for a in advances],
        [a.pricing and a.pricing.billable for a in advances],
    )


_PARK = """
INSERT INTO parked_receipt (channel_id, whatsapp_id, status, at, code, detail, pricing)
SELECT channel_id, whatsapp_id, status, at, code, detail, pricing::jsonb
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])
    AS p(channel_id, whatsapp_id, status, at, code, detail, pricing)
ON CONFLICT DO NOTHING
"""
_UNPARK = """
DELETE FROM parked_receipt p USING message m
WHERE m.channel_id = p.channel_id AND m.whatsapp_id = p.whatsapp_id AND m.direction = 'outbound'
RETURNING p.channel_id, p.whatsapp_id, p.status, p.at, p.code, p.detail, p.pricing
"""
_pricing = msgspec.json.Decoder(Pricing).decode
_FORGET = "DELETE FROM parked_receipt WHERE parked_at < now() - make_interval(hours => $1)"


async def park(connection: Connection, told: Sequence[ChannelReceipt]) -> None:
    """Keep receipts whose message is not known yet."""
    receipts = [t.receipt for t in told]
    await connection.execute(
        _PARK,
        [t.channel_id for t in told],
        [r.whatsapp_id for r in receipts],
        [r.status.value for r in receipts],
        [r.at for r in receipts],
        [r.code for r in receipts],
        [r.detail for r in receipts],
        [msgspec.json.encode(r.pricing).decode() if r.pricing else None for r in receipts],
    )


async def unpark(connection: Connection) -> list[ChannelReceipt]:
    """Take out the parked receipts whose message has its WhatsApp id by now."""
    rows = await connection.fetch(_UNPARK)
    return [
        ChannelReceipt(
            ChannelId(UUID(str(row["channel_id"]))),
            Receipt(
                phone_number_id="",
                whatsapp_id=row["whatsapp_id"],
                message_id=None,
                status=State(row["status"]),
                at=row["at"],
                code=row["code"],
                detail=row["detail"],
                pricing=_pricing(row["pricing"]) if row["pricing"] else None,
            ),
        )
        for row in sorted(rows, key=lambda row: RANK.get(State(row["status"]), len(RANK)))
    ]


async def forget_parked(connection: Connection, hours: int) -> None:
    """Drop receipts that nobody came for."""
    await connection.execute(_FORGET, hours)
