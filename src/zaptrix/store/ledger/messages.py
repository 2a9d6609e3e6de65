"""The ledger: writing messages into it, and what moves them other than delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import AttemptId, ChannelId, ConversationId, MessageId, PortalId
from zaptrix.core.message.message import Content, Direction, Origin, kind_of
from zaptrix.store.connection.database import Connection, Record
from zaptrix.store.ledger.backoffs import BACKED_OFF
from zaptrix.store.ledger.claims import HELD
from zaptrix.store.ledger.contents import encoded

_decode = msgspec.json.Decoder(Content).decode


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way into the ledger."""

    conversation: Conversation
    direction: Direction
    origin: Origin
    content: Content
    request_id: str
    written_at: datetime
    whatsapp_id: str | None = None
    bitrix_chat_id: int | None = None
    bitrix_message_id: int | None = None
    part: int = 0  # of the operator's message, when several come of it
    attempt_id: AttemptId | None = None  # that takes it at once, when nothing stands before it
    heard_at: datetime | None = None  # when its webhook came; without, when it was written

    @property
    def lane_id(self) -> UUID:
        """Where it goes: the portal when inbound, the channel when outbound."""
        inbound = self.direction is Direction.INBOUND
        return self.conversation.portal_id if inbound else self.conversation.channel_id


# Whether it may be on its way from the moment in which it is written: the first of its conversation in this batch, and
# nothing of that open, held or left alone. Whoever asks has locked the conversation in a statement before. Each look
# stops at its first row, so that it is one look-up in an index, and no list of all that is open.
_GOES = f"""m.attempt_id IS NOT NULL AND m.nth = min(m.nth) OVER (PARTITION BY m.lane_id, m.conversation_id)
    AND (SELECT 1 FROM message o WHERE o.lane_id = m.lane_id AND o.conversation_id = m.conversation_id
        AND o.state IN ('pending', 'sending', 'verifying') LIMIT 1) IS NULL
    AND (SELECT 1 FROM channel ch JOIN portal_config p ON p.id = ch.portal_id WHERE ch.id = m.channel_id
        AND CASE m.direction WHEN 'inbound' THEN {HELD[Direction.INBOUND]} ELSE {HELD[Direction.OUTBOUND]} END
        LIMIT 1) IS NULL
    AND NOT {BACKED_OFF.format(lane="m.lane_id")}"""  # noqa: S608

# Ids are given in the order of the batch: what is written first is delivered first. What people wrote before the ledger
# was restored may have been delivered since its dump, and is looked for first. What was heard of then and is not found
# where one can look is not sent; a customer's message of then that Meta tells of now, as nobody had taken it, is.
_INSERT = f"""
INSERT INTO message (portal_id, channel_id, conversation_id, lane_id, direction, kind, origin, content, request_id,
    written_at, whatsapp_id, bitrix_chat_id, bitrix_message_id, part, state, suspect, attempt_id, claimed_at)
SELECT portal_id, channel_id, conversation_id, lane_id, direction, kind, origin, content::jsonb, request_id, written_at,
    whatsapp_id, bitrix_chat_id, bitrix_message_id, part,
    CASE WHEN perhaps_sent THEN 'verifying' WHEN goes THEN 'sending' ELSE 'pending' END,
    coalesce(origin IN ('customer', 'operator') AND heard_at <= suspect_until, false),
    CASE WHEN goes AND NOT perhaps_sent THEN attempt_id END, CASE WHEN goes AND NOT perhaps_sent THEN now() END
FROM (
    SELECT m.*, r.suspect_until, {_GOES} AS goes, coalesce(
        m.origin IN ('customer', 'operator') AND least(m.written_at, m.heard_at) <= r.suspect_until, false
    ) AS perhaps_sent
    FROM (SELECT max(until) AS suspect_until FROM restore) r CROSS JOIN
        unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::timestamptz[], $11::text[], $12::bigint[], $13::bigint[], $14::smallint[],
        $15::timestamptz[], $16::uuid[])
        WITH ORDINALITY
        AS m(portal_id, channel_id, conversation_id, lane_id, direction, kind, origin, content, request_id,
             written_at, whatsapp_id, bitrix_chat_id, bitrix_message_id, part, heard_at, attempt_id, nth)
    OFFSET 0) m
ORDER BY nth
ON CONFLICT DO NOTHING
RETURNING id, lane_id, conversation_id, attempt_id, created_at
"""  # noqa: S608


class WrittenMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is in the ledger now. `attempt_id`: it is claimed already."""

    id: MessageId
    lane_id: UUID
    conversation_id: ConversationId
    attempt_id: AttemptId | None
    created_at: datetime


async def insert(connection: Connection, messages: Sequence[NewMessage]) -> list[MessageId]:
    """As `write`; the ids of the new ones."""
    return [one.id for one in await write(connection, messages)]


async def write(connection: Connection, messages: Sequence[NewMessage]) -> list[WrittenMessage]:
    """Write `messages`, in order; one that the ledger has already (by its platform's id) is left as it is.

    Returns the new ones. One with an attempt is claimed by it when it may go at once. Then its conversation has to be
    locked by this transaction already (`conversations.hear`, `conversations.touch`): who writes into it at the same
    moment is seen.
    """
    rows = await connection.fetch(_INSERT, *_values(messages))
    return [
        WrittenMessage(
            id=MessageId(row["id"]),
            lane_id=row["lane_id"],
            conversation_id=ConversationId(row["conversation_id"]),
            attempt_id=row["attempt_id"],
            created_at=row["created_at"],
        )
        for row in rows
    ]


def _values(messages: Sequence[NewMessage]) -> list[list[Any]]:
    """What the insert takes, a list a column."""
    return [
        [m.conversation.portal_id for m in messages],
        [m.conversation.channel_id for m in messages],
        [m.conversation.id for m in messages],
        [m.lane_id for m in messages],
        [m.direction.value for m in messages],
        [kind_of(m.content) for m in messages],
        [m.origin.value for m in messages],
        [encoded(m.content) for m in messages],
        [m.request_id for m in messages],
        [m.written_at for m in messages],
        [m.whatsapp_id for m in messages],
        [m.bitrix_chat_id for m in messages],
        [m.bitrix_message_id for m in messages],
        [m.part for m in messages],
        [m.heard_at or m.written_at for m in messages],
        [m.attempt_id for m in messages],
    ]


_GIVE_BACK = """
UPDATE message SET state = 'pending', attempt_id = NULL, claimed_at = NULL
WHERE state = 'sending' AND attempt_id = ANY($1) RETURNING id, direction, lane_id
"""


async def give_back(connection: Connection, attempts: Sequence[AttemptId]) -> list[MovedMessage]:
    """What was claimed by `attempts`, and went to nobody, waits again."""
    return [_moved(row) for row in await connection.fetch(_GIVE_BACK, attempts)]


_KNOWN = """
SELECT m.channel_id, m.whatsapp_id FROM unnest($1::uuid[], $2::text[]) AS a(channel_id, whatsapp_id)
JOIN message m ON m.channel_id = a.channel_id AND m.whatsapp_id = a.whatsapp_id
"""
Wamid = tuple[ChannelId, str]


async def known(connection: Connection, ids: Sequence[Wamid]) -> set[Wamid]:
    """Those of `ids`, WhatsApp's with their channels, that are in the ledger."""
    rows = await connection.fetch(_KNOWN, [one[0] for one in ids], [one[1] for one in ids])
    return {(ChannelId(row["channel_id"]), row["whatsapp_id"]) for row in rows}


class Quotable(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the ledger that another one may speak of."""

    conversation_id: ConversationId
    direction: Direction
    content: Content


# What first could not be shown may have come later on, under the same id at Meta (`core.ids.further_id`).
_QUOTABLE = """
SELECT m.channel_id, m.whatsapp_id, m.conversation_id, m.direction, coalesce(f.content, m.content) AS content
FROM unnest($1::uuid[], $2::text[]) AS a(channel_id, whatsapp_id)
JOIN message m ON m.channel_id = a.channel_id AND m.whatsapp_id = a.whatsapp_id
LEFT JOIN LATERAL (
    SELECT content FROM message WHERE m.kind IN ('unsupported', 'unknown') AND conversation_id = m.conversation_id
        AND id > m.id AND starts_with(whatsapp_id, m.whatsapp_id || '#') ORDER BY id DESC LIMIT 1) f ON true
"""


async def quotable(connection: Connection, ids: Sequence[Wamid]) -> dict[Wamid, Quotable]:
    """What was said under `ids`, those that are in the ledger."""
    rows = await connection.fetch(_QUOTABLE, [one[0] for one in ids], [one[1] for one in ids])
    return {
        (ChannelId(row["channel_id"]), row["whatsapp_id"]): Quotable(
            conversation_id=ConversationId(row["conversation_id"]),
            direction=Direction(row["direction"]),
            content=_decode(row["content"]),
        )
        for row in rows
    }


_UNDERWAY = """
SELECT DISTINCT m.conversation_id FROM unnest($1::uuid[], $2::uuid[]) AS a(lane_id, conversation_id)
JOIN message m ON m.lane_id = a.lane_id AND m.conversation_id = a.conversation_id
WHERE m.state IN ('sending', 'verifying') AND m.direction = 'outbound'
"""


async def underway(connection: Connection, talks: Sequence[tuple[ChannelId, ConversationId]]) -> set[ConversationId]:
    """Conversations in which a message of ours was sent or may have been, and its WhatsApp id is not known yet."""
    rows = await connection.fetch(_UNDERWAY, [one[0] for one in talks], [one[1] for one in talks])
    return {ConversationId(row["conversation_id"]) for row in rows}


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the ledger that somebody names by its number."""

    portal_id: PortalId
    whatsapp_id: str | None
    written_at: datetime
    quotable: Quotable


_SPOKEN = """
SELECT portal_id, whatsapp_id, written_at, conversation_id, direction, content FROM message
WHERE id = $1 AND kind <> 'notice'
"""


async def spoken(connection: Connection, message_id: MessageId) -> Spoken | None:
    """What somebody said under this number; None when it is no message, or a line of ours."""
    row = await connection.fetchrow(_SPOKEN, message_id)
    if row is None:
        return None
    return Spoken(
        portal_id=PortalId(row["portal_id"]),
        whatsapp_id=row["whatsapp_id"],
        written_at=row["written_at"],
        quotable=Quotable(
            conversation_id=ConversationId(row["conversation_id"]),
            direction=Direction(row["direction"]),
            content=_decode(row["content"]),
        ),
    )


# A message that was shown as "not known" is understood now: it goes once more, as what it is.
_LEARN = """
UPDATE message m SET kind = l.kind, content = l.content::jsonb, state = 'pending', due_at = now(), attempts = 0,
    error_code = NULL, error_detail = NULL, sent_at = NULL, dead_at = NULL
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS l(channel_id, whatsapp_id, kind, content)
WHERE m.channel_id = l.channel_id AND m.whatsapp_id = l.whatsapp_id AND m.kind = 'unknown'
    AND m.state NOT IN ('sending', 'verifying')
RETURNING m.id
"""


async def learn(connection: Connection, learned: Sequence[tuple[Wamid, Content]]) -> int:
    """Give messages of unknown kind their content, to be delivered again; how many there were."""
    rows = await connection.fetch(
        _LEARN,
        [wamid[0] for wamid, _ in learned],
        [wamid[1] for wamid, _ in learned],
        [kind_of(content) for _, content in learned],
        [encoded(content) for _, content in learned],
    )
    return len(rows)


_CONTENTS = "SELECT id, content FROM message WHERE id = ANY($1)"


async def contents(connection: Connection, ids: Sequence[MessageId]) -> dict[MessageId, Content]:
    """What is said in messages."""
    rows = await connection.fetch(_CONTENTS, ids) if ids else []
    return {MessageId(row["id"]): _decode(row["content"]) for row in rows}


_FILL = """
UPDATE message m SET content = f.content::jsonb
FROM unnest($1::bigint[], $2::uuid[], $3::text[]) AS f(id, attempt_id, content)
WHERE m.id = f.id AND m.attempt_id = f.attempt_id
"""


async def fill(connection: Connection, filled: Sequence[tuple[MessageId, AttemptId, Content]]) -> None:
    """What is to be said is known only now, by those who hold the messages."""
    if filled:
        await connection.execute(
            _FILL, [one[0] for one in filled], [one[1] for one in filled], [encoded(one[2]) for one in filled]
        )


_SAID_OF = """
UPDATE message m SET notice_id = s.notice_id
FROM unnest($1::bigint[], $2::bigint[]) AS s(id, notice_id) WHERE m.id = s.id
"""


async def said_of(connection: Connection, said: Sequence[tuple[MessageId, MessageId]]) -> None:
    """Which line an operator was told of a message."""
    await connection.execute(_SAID_OF, [one[0] for one in said], [one[1] for one in said])


_REVIVE = """
UPDATE message SET state = 'pending', due_at = now(), attempts = 0, attempt_id = NULL, error_code = NULL,
    error_detail = NULL, dead_at = NULL, notice_id = NULL, suspect = false,
    whatsapp_id = CASE direction WHEN 'outbound' THEN NULL ELSE whatsapp_id END
WHERE id = ANY($1) AND state = 'dead' AND ($2::uuid IS NULL OR portal_id = $2)
RETURNING id, direction, lane_id
"""
_DISMISS = """
UPDATE message SET state = 'dismissed' WHERE id = ANY($1) AND state = 'dead' AND ($2::uuid IS NULL OR portal_id = $2)
RETURNING id, direction, lane_id
"""


class MovedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was made to wait or laid aside, and where it goes."""

    id: MessageId
    direction: Direction
    lane_id: UUID


async def revive(connection: Connection, ids: Sequence[int], only: PortalId | None) -> list[MovedMessage]:
    """Give dead letters a fresh start; those that were dead, and `only`'s."""
    return [_moved(row) for row in await connection.fetch(_REVIVE, ids, only)]


async def dismiss(connection: Connection, ids: Sequence[int], only: PortalId | None) -> list[MovedMessage]:
    """Lay dead letters aside for good."""
    return [_moved(row) for row in await connection.fetch(_DISMISS, ids, only)]


def _moved(row: Record) -> MovedMessage:
    fields = dict(row)
    return MovedMessage(id=fields["id"], direction=Direction(fields["direction"]), lane_id=fields["lane_id"])


class Forgotten(msgspec.Struct, frozen=True):
    """One step of forgetting. `last`: where the next step begins; None: whatever comes is younger."""

    gone: int
    last: MessageId | None


# Ids come in the order of time, so that the oldest are found by the primary key.
_FORGET = """
WITH step AS MATERIALIZED (
    SELECT id, state FROM (SELECT id, state, created_at FROM message WHERE id > $2 ORDER BY id LIMIT $3) AS oldest
    WHERE created_at < now() - make_interval(days => $1)
), gone AS (
    DELETE FROM message USING step
    WHERE message.id = step.id AND step.state NOT IN ('pending', 'sending', 'verifying') RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT max(id) FROM step) AS last
"""


async def forget(connection: Connection, days: int, after: MessageId, limit: int) -> Forgotten:
    """Of the `limit` messages behind `after`, forget those that ended and are older than `days`."""
    row = await connection.fetchrow(_FORGET, days, after, limit)
    assert row is not None
    return Forgotten(row["gone"], row["last"])
