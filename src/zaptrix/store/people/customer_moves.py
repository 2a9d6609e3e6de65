"""Conversations that move: a customer's new ids, and two conversations that turn out to be one person's."""

from __future__ import annotations

from collections.abc import Sequence

from zaptrix.core.customer.customer import Customer
from zaptrix.core.ids import ConversationId
from zaptrix.store.connection.database import Connection

# Messages before conversations, as whoever settles takes them (lock order: docs/adr/0034).
_TAKE_MESSAGES = """
WITH mine AS (SELECT id FROM message WHERE conversation_id = ANY($2) ORDER BY id FOR NO KEY UPDATE)
UPDATE message m SET conversation_id = $1 FROM mine WHERE m.id = mine.id
"""
_LOCK = "SELECT id FROM conversation_mapping WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"

# The names of a merged conversation are free for the one that lives on. Its number stays, and is the living one's: what
# was written into it at this very moment still goes to the right phone.
_MERGE = """
UPDATE conversation_mapping c SET merged_into = $1, bsuid = NULL, meta_whatsapp_id = 'merged ' || c.id,
    wa_id = coalesce($3::text, wa_id), phone = coalesce($4::text, phone), updated_at = now()
WHERE id = ANY($2) OR merged_into = ANY($2)
"""
_TAKE_NAMES = "UPDATE former_identity SET conversation_id = $1 WHERE conversation_id = ANY($2)"
_TAKE_TIMES = """
UPDATE conversation_mapping c SET
    last_message_at = greatest(c.last_message_at, o.last_message_at),
    window_expires_at = greatest(c.window_expires_at, o.window_expires_at),
    bitrix_contact_id = coalesce(c.bitrix_contact_id, o.bitrix_contact_id),
    contact_name = coalesce(c.contact_name, o.contact_name), username = coalesce(c.username, o.username),
    referral = coalesce(c.referral, o.referral), updated_at = now()
FROM (SELECT max(last_message_at) AS last_message_at, max(window_expires_at) AS window_expires_at,
        max(bitrix_contact_id) AS bitrix_contact_id, max(contact_name) AS contact_name, max(username) AS username,
        (array_agg(referral) FILTER (WHERE referral IS NOT NULL))[1] AS referral
    FROM conversation_mapping WHERE id = ANY($2)) o
WHERE c.id = $1
"""


async def merge(
    connection: Connection, survivor: ConversationId, others: Sequence[ConversationId], customer: Customer
) -> None:
    """`others` become part of `survivor`, with all that was said in them. Their chats still lead here."""
    await connection.execute(_TAKE_MESSAGES, survivor, others)
    await connection.execute(_LOCK, [survivor, *others])
    await connection.execute(_TAKE_TIMES, survivor, others)
    await connection.execute(_MERGE, survivor, others, customer.wa_id, customer.phone)
    await connection.execute(_TAKE_NAMES, survivor, others)


# The window is of a number: a new one has none until it is written from. So is the user id: Meta makes another one with
# another number, and where it does not say which, the next words will.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
_RENAME = """
UPDATE conversation_mapping c SET
    bsuid = CASE WHEN $5::boolean THEN $2::text ELSE coalesce($2::text, c.bsuid) END,
    wa_id = CASE WHEN $5::boolean THEN $3::text ELSE coalesce($3::text, c.wa_id) END,
    phone = CASE WHEN $5::boolean THEN $4::text ELSE coalesce($4::text, c.phone) END,
    window_expires_at = CASE WHEN $6::boolean THEN NULL ELSE c.window_expires_at END,
    meta_whatsapp_id = CASE WHEN EXISTS (
        SELECT 1 FROM conversation_mapping o WHERE o.portal_id = c.portal_id AND o.channel_id = c.channel_id
            AND o.id <> c.id AND o.meta_whatsapp_id = coalesce($3::text, $2::text)) THEN c.meta_whatsapp_id
        ELSE coalesce($3::text, $2::text, c.meta_whatsapp_id) END,
    updated_at = now()
WHERE c.id = $1
"""
_REMEMBER = """
INSERT INTO former_identity (channel_id, bsuid, conversation_id)
SELECT channel_id, $2::text, id FROM conversation_mapping WHERE id = $1 AND bsuid IS DISTINCT FROM $2::text
ON CONFLICT (channel_id, bsuid) DO UPDATE SET conversation_id = excluded.conversation_id
"""


async def rename(
    connection: Connection,
    conversation_id: ConversationId,
    customer: Customer,
    *,
    former_bsuid: str | None,
    number_changed: bool,
    close_window: bool,
) -> None:
    """The conversation's customer has these ids now; what still comes under `former_bsuid` is theirs as well."""
    await connection.execute(
        _RENAME, conversation_id, customer.bsuid, customer.wa_id, customer.phone, number_changed, close_window
    )
    if former_bsuid:
        await remember(connection, conversation_id, former_bsuid)


async def remember(connection: Connection, conversation_id: ConversationId, former_bsuid: str) -> None:
    """What still comes under `former_bsuid` is this conversation's."""
    await connection.execute(_REMEMBER, conversation_id, former_bsuid)
