"""Messages as the API and the metrics show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from zaptrix.core.delivery.errors import FailureScope
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.ids import MessageId, PortalId
from zaptrix.core.message.message import Notice
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger.receipts import STANDS


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt."""

    number: int
    verdict: str
    code: str
    detail: str
    ended_at: datetime


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message without its words; those are in `content`, for a single message only."""

    id: int
    portal_id: UUID
    channel_id: UUID
    conversation_id: UUID
    direction: str
    kind: str
    origin: str
    state: str
    late: Annotated[bool, msgspec.Meta(description="No event told of it: it was found in the portal's history.")]
    attempts: int
    due_at: datetime
    whatsapp_id: str | None
    bitrix_chat_id: int | None
    bitrix_message_id: int | None
    error_code: str | None
    error_detail: str | None
    request_id: str
    written_at: datetime
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    played_at: datetime | None
    dead_at: datetime | None
    price_category: Annotated[str | None, msgspec.Meta(description="What Meta charges it as, once it said so.")]
    price_type: Annotated[str | None, msgspec.Meta(description="regular, free_customer_service, free_entry_point, ...")]
    price_model: str | None
    price_billable: bool | None
    notice_id: Annotated[int | None, msgspec.Meta(description="The line that the operator was told of it, if any.")]


class MessageDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One message with its words, its failed attempts, and what the operator was told of it."""

    message: MessageView
    content: Any
    attempts: list[AttemptView]
    told: Notice | None


_NAMES = ", ".join(f"{STANDS} AS state" if name == "state" else name for name in MessageView.__struct_fields__)
_GET = f"""
SELECT {_NAMES}, content FROM message WHERE id = $1 AND ($2::uuid IS NULL OR portal_id = $2)"""  # noqa: S608
_ATTEMPTS = "SELECT number, verdict, code, detail, ended_at FROM attempt WHERE message_id = $1 ORDER BY id"
_DEAD = f"""
SELECT {_NAMES} FROM message
WHERE state = 'dead' AND ($1::uuid IS NULL OR portal_id = $1) AND ($2::bigint IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3"""  # noqa: S608
_OF_CONVERSATION = f"""
SELECT {_NAMES} FROM message
WHERE conversation_id = $1 AND ($2::uuid IS NULL OR portal_id = $2) AND ($3::bigint IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4"""  # noqa: S608


async def get(connection: Connection, message_id: MessageId, only: PortalId | None) -> MessageDetail | None:
    """One message; None when there is none, or when it is not `only`'s."""
    row = await connection.fetchrow(_GET, message_id, only)
    if row is None:
        return None
    fields = dict(row)
    content = msgspec.json.decode(fields.pop("content"))
    attempts = [AttemptView(**attempt) for attempt in await connection.fetch(_ATTEMPTS, message_id)]
    message = MessageView(**fields)
    told = (await notices(connection, [message])).get(message.id)
    return MessageDetail(message=message, content=content, attempts=attempts, told=told)


_NOTICES = "SELECT id, content FROM message WHERE id = ANY($1)"
_notice = msgspec.json.Decoder(Notice)


async def notices(connection: Connection, found: Sequence[MessageView]) -> dict[int, Notice]:
    """What the operator was told, by the id of the message that it was told of."""
    ids = {message.notice_id: message.id for message in found if message.notice_id is not None}
    rows = await connection.fetch(_NOTICES, list(ids)) if ids else []
    return {ids[row["id"]]: _notice.decode(row["content"]) for row in rows}


async def dead_letters(
    connection: Connection, only: PortalId | None, before: int | None, limit: int
) -> list[MessageView]:
    """Dead letters, the newest first, with ids below `before`."""
    return [MessageView(**row) for row in await connection.fetch(_DEAD, only, before, limit)]


async def of_conversation(
    connection: Connection, conversation_id: UUID, only: PortalId | None, before: int | None, limit: int
) -> list[MessageView]:
    """A conversation's messages, the newest first, with ids below `before`."""
    rows = await connection.fetch(_OF_CONVERSATION, conversation_id, only, before, limit)
    return [MessageView(**row) for row in rows]


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the ledger for one queue."""

    waiting: int = 0
    active: int = 0
    failed: int = 0  # unroutable events, dead letters
    oldest_age_s: float = 0.0  # of what is waiting or active, and that no pause holds


# What a paused channel or portal holds is told by the pause; its age would hide whatever else is late.
_SIZES = """
WITH paused AS MATERIALIZED (
    SELECT array_agg(c.id) FILTER (WHERE p.paused_at IS NOT NULL OR c.line_paused_at IS NOT NULL) AS inbound,
        array_agg(c.id) FILTER (WHERE p.paused_at IS NOT NULL OR c.whatsapp_paused_at IS NOT NULL) AS outbound
    FROM channel c JOIN portal_config p ON p.id = c.portal_id
    WHERE p.paused_at IS NOT NULL OR c.line_paused_at IS NOT NULL OR c.whatsapp_paused_at IS NOT NULL
)
SELECT CASE source WHEN 'whatsapp' THEN 'incoming-messages' ELSE 'outbound-messages' END AS queue,
    count(*) FILTER (WHERE state = 'new') AS waiting, 0::bigint AS active,
    count(*) FILTER (WHERE state = 'unroutable') AS failed,
    coalesce(extract(epoch FROM now() - min(received_at) FILTER (WHERE state = 'new')), 0)::float8 AS oldest_age_s
FROM event WHERE state = 'new' OR state = 'unroutable' GROUP BY source
UNION ALL
SELECT CASE direction WHEN 'inbound' THEN 'bitrix24-messages' ELSE 'meta-messages' END,
    count(*) FILTER (WHERE state IN ('pending', 'verifying')), count(*) FILTER (WHERE state = 'sending'),
    count(*) FILTER (WHERE state = 'dead'),
    coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE state <> 'dead' AND (channel_id = ANY (
        coalesce(CASE direction WHEN 'inbound' THEN paused.inbound ELSE paused.outbound END, '{}')
    )) IS NOT TRUE)), 0)::float8
FROM paused CROSS JOIN message WHERE state IN ('pending', 'verifying', 'sending') OR state = 'dead' GROUP BY direction
"""


async def queue_sizes(connection: Connection) -> dict[Queue, QueueView]:
    """What each queue holds, by the ledger."""
    sizes = {queue: QueueView() for queue in Queue}
    for row in await connection.fetch(_SIZES):
        fields = dict(row)
        queue = Queue(fields.pop("queue"))
        sizes[queue] = QueueView(**fields)
    return sizes


_PAUSED = """
SELECT (SELECT count(*) FROM portal_config WHERE paused_at IS NOT NULL) AS portal,
    (SELECT count(*) FROM channel WHERE whatsapp_paused_at IS NOT NULL OR line_paused_at IS NOT NULL) AS channel
"""


async def paused(connection: Connection) -> dict[FailureScope, int]:
    """How many portals and channels stand still behind a bad key."""
    row = await connection.fetchrow(_PAUSED)
    assert row is not None
    return {FailureScope.PORTAL: row["portal"], FailureScope.CHANNEL: row["channel"]}
