"""Conversations: who talks on which channel (`conversation_mapping`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.phone import forms_of
from zaptrix.core.customer.referral import Referral
from zaptrix.core.ids import ChannelId, ConversationId, PortalId
from zaptrix.core.portal import Channel
from zaptrix.store.connection.database import Connection, Record

COLUMNS = """c.id AS conversation_id, c.portal_id, c.channel_id, c.bsuid, c.wa_id, c.phone, c.contact_name,
c.username, c.bitrix_chat_id AS chat_id, c.bitrix_session_id AS session_id, c.bitrix_contact_id AS contact_id,
c.window_expires_at, c.referral"""


_referral = msgspec.json.Decoder(Referral).decode


def conversation_of(row: Record, former_bsuids: tuple[str, ...] = ()) -> Conversation:
    """A conversation from a row that holds `COLUMNS`."""
    return Conversation(
        id=ConversationId(row["conversation_id"]),
        portal_id=PortalId(row["portal_id"]),
        channel_id=ChannelId(row["channel_id"]),
        customer=Customer(
            bsuid=row["bsuid"],
            wa_id=row["wa_id"],
            phone=row["phone"],
            name=row["contact_name"],
            username=row["username"],
        ),
        bitrix_chat_id=row["chat_id"],
        bitrix_session_id=row["session_id"],
        bitrix_contact_id=row["contact_id"],
        window_expires_at=row["window_expires_at"],
        referral=_referral(row["referral"]) if row["referral"] else None,
        former_bsuids=former_bsuids,
    )


# An index for each name: under one OR, a list of customers over many channels would be a join of everything.
_KNOWN = f"""
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS a(channel_id, bsuid, wa_id, phone)
), found AS (
    SELECT c.id FROM asked a JOIN conversation_mapping c ON c.channel_id = a.channel_id AND c.bsuid = a.bsuid
    UNION SELECT c.id FROM asked a JOIN conversation_mapping c ON c.channel_id = a.channel_id AND c.wa_id = a.wa_id
    UNION SELECT c.id FROM asked a JOIN conversation_mapping c ON c.channel_id = a.channel_id AND c.phone = a.phone
), by_any_name AS (
    SELECT id, array_agg(former) FILTER (WHERE former IS NOT NULL) AS former FROM (
        SELECT id, NULL AS former FROM found
        UNION ALL SELECT f.conversation_id, f.bsuid FROM asked a
            JOIN former_identity f ON f.channel_id = a.channel_id AND f.bsuid = a.bsuid) n
    GROUP BY id
)
SELECT {COLUMNS}, n.former FROM by_any_name n JOIN conversation_mapping c ON c.id = n.id
WHERE c.merged_into IS NULL ORDER BY c.last_message_at DESC
"""  # noqa: S608


async def known(connection: Connection, asked: Sequence[tuple[ChannelId, Customer]]) -> list[Conversation]:
    """All conversations of the channels that could be the customers' beside them, the latest first.

    A number is looked for in every form in which it may have been written down.
    """
    names = [(channel_id, c.bsuid, c.wa_id, c.phone) for channel_id, c in asked]
    names += [(channel_id, None, None, form) for channel_id, c in asked if c.phone for form in forms_of(c.phone)[1:]]
    rows = await connection.fetch(
        _KNOWN,
        [channel_id for channel_id, *_ in names],
        [bsuid for _, bsuid, *_ in names],
        [wa_id for *_, wa_id, _ in names],
        [phone for *_, phone in names],
    )
    return [conversation_of(row, tuple(row["former"] or ())) for row in rows]


# The same customer of the same channel has the same id again, and so the same chat, when a restore has forgotten her.
# Unless it is taken: a number may have been somebody else's.
_ADD = f"""
WITH wanted AS (
    SELECT encode(substring(sha256(convert_to(coalesce(salt, id)::text || $3, 'UTF8')) FOR 16), 'hex')::uuid AS id
    FROM channel WHERE id = $2
)
INSERT INTO conversation_mapping AS c (id, portal_id, channel_id, meta_whatsapp_id, bsuid, wa_id, phone, username,
    contact_name)
SELECT CASE WHEN EXISTS (SELECT 1 FROM conversation_mapping o WHERE o.id = wanted.id) THEN gen_random_uuid()
    ELSE wanted.id END, $1, $2, $3, $4, $5, $6, $7, left($8, 255) FROM wanted RETURNING {COLUMNS}
"""  # noqa: S608


async def add(connection: Connection, channel: Channel, customer: Customer) -> Conversation:
    """A new conversation."""
    row = await connection.fetchrow(
        _ADD,
        channel.portal_id,
        channel.id,
        customer.wa_id or customer.bsuid or customer.phone,
        customer.bsuid,
        customer.wa_id,
        customer.phone,
        customer.username,
        customer.name,
    )
    assert row is not None
    return conversation_of(row)


# In the order of their ids (lock order: docs/adr/0034).
_IN_ORDER = "mine AS (SELECT id FROM conversation_mapping WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE)"
# The same with what is told of each, one after another by the primary key: a join of two lists compares each with each.
EACH_IN_ORDER = """mine AS MATERIALIZED (
    SELECT told.* FROM told CROSS JOIN LATERAL (SELECT FROM conversation_mapping WHERE id = told.id FOR NO KEY UPDATE) c
)"""

# Its user id is its name then, unless that is another's: names are unique, and what is no id of Meta's may be both.
_DETACH = f"""
WITH {_IN_ORDER}
UPDATE conversation_mapping c SET meta_whatsapp_id = CASE WHEN EXISTS (
        SELECT 1 FROM conversation_mapping o WHERE o.portal_id = c.portal_id AND o.channel_id = c.channel_id
            AND o.id <> c.id AND o.meta_whatsapp_id = c.bsuid) THEN 'detached ' || c.id ELSE c.bsuid END,
    wa_id = NULL, phone = NULL, updated_at = now()
FROM mine WHERE c.id = mine.id AND bsuid IS NOT NULL
"""  # noqa: S608


async def detach_numbers(connection: Connection, ids: Sequence[ConversationId]) -> None:
    """Take the phone number from conversations whose number was given to somebody else."""
    await connection.execute(_DETACH, ids)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What routing learned of a conversation from a customer's messages."""

    id: ConversationId
    customer: Customer
    last_written_at: datetime
    window_expires_at: datetime | None  # None: nothing that was said opens it
    referral: Referral | None = None


# Each change of it is a new entry in all seven indexes of the row, for it is in one of them; without it, what a message
# changes of its conversation is a HOT update. Lists and rounds of recovery, which go by it, need it to the minute.
_LAST_MESSAGE_AT = "CASE WHEN {at} > c.last_message_at + interval '1 minute' THEN {at} ELSE c.last_message_at END"

# A webhook can be a week late: neither the window nor the last time moves back. A number may stand in an older
# conversation of somebody whose user id was hidden then: that one keeps its name. Ids of before a move never come back,
# not even when a cache that could not be told of the move says that they are the customer's.
_HEAR = f"""
WITH told AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::text[], $9::text[]) AS t(id, at, window_ends, bsuid, wa_id, phone, username, name, referral)
    ORDER BY id
), {EACH_IN_ORDER}
UPDATE conversation_mapping c SET
    last_message_at = {_LAST_MESSAGE_AT.format(at="h.at")},
    window_expires_at = greatest(c.window_expires_at, h.window_ends),
    bsuid = CASE WHEN h.former THEN c.bsuid ELSE coalesce(h.bsuid, c.bsuid) END,
    wa_id = CASE WHEN h.former THEN c.wa_id ELSE coalesce(h.wa_id, c.wa_id) END,
    phone = CASE WHEN h.former THEN c.phone ELSE coalesce(h.phone, c.phone) END,
    meta_whatsapp_id = CASE WHEN h.former OR h.wa_id IS NULL OR h.wa_id = c.meta_whatsapp_id OR EXISTS (
        SELECT 1 FROM conversation_mapping o WHERE o.portal_id = c.portal_id AND o.channel_id = c.channel_id
            AND o.meta_whatsapp_id = h.wa_id) THEN c.meta_whatsapp_id ELSE h.wa_id END,
    username = coalesce(h.username, c.username), contact_name = coalesce(left(h.name, 255), c.contact_name),
    referral = coalesce(h.referral::jsonb, c.referral), updated_at = now()
FROM (SELECT mine.*, EXISTS (
        SELECT 1 FROM former_identity f WHERE f.conversation_id = mine.id AND f.bsuid = mine.bsuid) AS former
    FROM mine) h
WHERE c.id = h.id
RETURNING {COLUMNS}
"""  # noqa: S608


async def hear(connection: Connection, heard: Sequence[Heard]) -> dict[ConversationId, Conversation]:
    """Record what customers' messages told of themselves; the conversations as they stand now, locked."""
    rows = await connection.fetch(
        _HEAR,
        [h.id for h in heard],
        [h.last_written_at for h in heard],
        [h.window_expires_at for h in heard],
        [h.customer.bsuid for h in heard],
        [h.customer.wa_id for h in heard],
        [h.customer.phone for h in heard],
        [h.customer.username for h in heard],
        [h.customer.name for h in heard],
        [msgspec.json.encode(h.referral).decode() if h.referral else None for h in heard],
    )
    return _by_id(rows)


def _by_id(rows: Sequence[Record]) -> dict[ConversationId, Conversation]:
    return {talk.id: talk for talk in map(conversation_of, rows)}


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform's answer told of a conversation. None: it did not say."""

    id: ConversationId
    bitrix_chat_id: int | None = None
    bitrix_session_id: int | None = None
    bitrix_contact_id: int | None = None
    wa_id: str | None = None


# Of several things told of one conversation the last word on each counts.
_PLACE = f"""
WITH told AS MATERIALIZED (
    SELECT id, (array_agg(chat ORDER BY nth DESC) FILTER (WHERE chat IS NOT NULL))[1] AS chat,
        (array_agg(session ORDER BY nth DESC) FILTER (WHERE session IS NOT NULL))[1] AS session,
        (array_agg(contact ORDER BY nth DESC) FILTER (WHERE contact IS NOT NULL))[1] AS contact,
        (array_agg(wa_id ORDER BY nth DESC) FILTER (WHERE wa_id IS NOT NULL))[1] AS wa_id, bool_or(spoke) AS spoke
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::boolean[])
        WITH ORDINALITY AS p(id, chat, session, contact, wa_id, spoke, nth) GROUP BY id ORDER BY id
), {EACH_IN_ORDER}
UPDATE conversation_mapping c SET
    bitrix_chat_id = coalesce(p.chat, c.bitrix_chat_id), bitrix_session_id = coalesce(p.session, c.bitrix_session_id),
    bitrix_contact_id = coalesce(p.contact, c.bitrix_contact_id), wa_id = coalesce(c.wa_id, p.wa_id),
    last_message_at = {_LAST_MESSAGE_AT.format(at="CASE WHEN p.spoke THEN now() END")},
    updated_at = now()
FROM mine p WHERE c.id = p.id AND (p.spoke
    OR (c.bitrix_chat_id, c.bitrix_session_id, c.bitrix_contact_id, c.wa_id) IS DISTINCT FROM
    (coalesce(p.chat, c.bitrix_chat_id), coalesce(p.session, c.bitrix_session_id),
     coalesce(p.contact, c.bitrix_contact_id), coalesce(c.wa_id, p.wa_id)))
RETURNING {COLUMNS}
"""  # noqa: S608


async def place(connection: Connection, placed: Sequence[Placed]) -> None:
    """Record where conversations stand on the platforms."""
    await touch(connection, [], placed)


async def touch(
    connection: Connection, ids: Sequence[ConversationId], placed: Sequence[Placed] = ()
) -> dict[ConversationId, Conversation]:
    """Something was said in conversations just now, and where some of them stand is known; all that were touched, as
    they stand now, locked."""
    told = [*placed, *(Placed(id=each) for each in ids)]
    rows = await connection.fetch(
        _PLACE,
        [p.id for p in told],
        [p.bitrix_chat_id for p in told],
        [p.bitrix_session_id for p in told],
        [p.bitrix_contact_id for p in told],
        [p.wa_id for p in told],
        [False] * len(placed) + [True] * len(ids),
    )
    return _by_id(rows)


_BY_IDS = f"""
SELECT a.id AS asked, {COLUMNS} FROM conversation_mapping a
JOIN conversation_mapping c ON c.id = coalesce(a.merged_into, a.id) WHERE a.id = ANY($1)
"""  # noqa: S608


async def by_ids(connection: Connection, ids: Sequence[ConversationId]) -> dict[ConversationId, Conversation]:
    """Conversations by the id that was asked for; one that was merged into another is that other one."""
    return {ConversationId(row["asked"]): conversation_of(row) for row in await connection.fetch(_BY_IDS, ids)}


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as the API shows it, under the brief's names."""

    id: UUID
    portal_id: UUID
    channel_id: UUID
    meta_whatsapp_id: str
    bsuid: str | None
    phone: str | None
    username: str | None
    contact_name: str | None
    bitrix_contact_id: int | None
    bitrix_chat_id: int | None
    window_expires_at: datetime | None
    last_message_at: Annotated[datetime, msgspec.Meta(description="Of the last message, less than a minute early.")]
    created_at: datetime


_VIEW = ", ".join(ConversationView.__struct_fields__)
_LIST = f"""
SELECT {_VIEW} FROM conversation_mapping
WHERE merged_into IS NULL AND ($1::uuid IS NULL OR portal_id = $1) AND ($2::uuid IS NULL OR channel_id = $2)
    AND ($3::timestamptz IS NULL OR (last_message_at, id) < ($3, $4))
ORDER BY last_message_at DESC, id DESC LIMIT $5
"""  # noqa: S608


async def listed(
    connection: Connection,
    *,
    portal_id: UUID | None,
    channel_id: UUID | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[ConversationView]:
    """Conversations, the latest first, older than `before`."""
    at, conversation_id = before or (None, None)
    rows = await connection.fetch(_LIST, portal_id, channel_id, at, conversation_id, limit)
    return [ConversationView(**row) for row in rows]
