"""Claiming: how exactly one process holds a message."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.lanes import Lane, delivery_lane
from zaptrix.core.ids import AttemptId, MessageId
from zaptrix.core.message.message import Content, Direction, Origin
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.connection.database import STATE_BY_KEY, Connection, Record
from zaptrix.store.ledger import awaited, backoffs, files
from zaptrix.store.ledger.backoffs import BACKED_OFF
from zaptrix.store.people.conversations import COLUMNS, conversation_of

_content = msgspec.json.Decoder(Content)

# An attempt without a clear answer ends in a search, and a search that found nothing in the next attempt. A revived
# message begins anew.
_UNCLEAR = """CASE WHEN m.attempts = 0 THEN 0 ELSE least(m.attempts, (
    SELECT count(*)::int FROM attempt WHERE message_id = m.id AND code = 'not_found' AND verdict = 'snooze')) END"""
# Of an operator's message nothing else came than this: no other part of it.
_ALONE = """(m.bitrix_message_id IS NULL OR NOT EXISTS (SELECT FROM message s WHERE s.portal_id = m.portal_id
    AND s.bitrix_message_id = m.bitrix_message_id AND s.id <> m.id))"""
CLAIM = f"""m.id, m.attempt_id, m.attempts, {_UNCLEAR} AS unclear, m.content, m.origin, m.request_id,
m.created_at, m.whatsapp_id, m.bitrix_chat_id, m.bitrix_message_id, m.part, m.suspect, {_ALONE} AS alone, EXISTS (
    SELECT 1 FROM message n WHERE n.lane_id = m.lane_id AND n.state IN ('pending', 'sending', 'verifying')
        AND n.conversation_id = m.conversation_id AND n.id > m.id) AS followed, {COLUMNS}"""  # noqa: S608

# The round of a portal or channel, as `core.delivery.lanes` counts it: the last bits of its id.
ROUND_OF = "(get_byte(uuid_send({owner}), 15) % 4)"

# What is held on the way to one side.
HELD = {
    Direction.INBOUND: "ch.line_paused_at IS NOT NULL OR p.paused_at IS NOT NULL",
    Direction.OUTBOUND: "ch.whatsapp_paused_at IS NOT NULL",
}

# Only the oldest open message of a conversation may be claimed. The recursion hops from conversation to conversation
# along the index, so that a claim costs what it returns, however long the backlog. It starts anywhere ($4) and at the
# beginning, both in turns, so that no conversation is always last. What was picked is looked at again under its lock,
# for another process may have been faster; what somebody holds right now is left to them, so that two never wait for
# each other. That look goes by the key, one after another: as a join, 98 messages were held against all 3,000 that
# were pending, which was 23 of the statement's 32 ms. All who claim at the same moment share the statement: with 1,000
# portals each takes but a message or two, and the statement costs more than they do.
_CLAIM = """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]) AS a(lane_id, attempt_id, room)
), picked AS MATERIALIZED (
    SELECT a.attempt_id, p.id FROM asked a CROSS JOIN LATERAL (
        WITH RECURSIVE heads AS (
            (SELECT conversation_id, id, channel_id, state, due_at, false AS wrapped FROM message
             WHERE lane_id = a.lane_id AND state IN ('pending', 'sending', 'verifying') AND conversation_id > $4
             ORDER BY conversation_id, id LIMIT 1)
            UNION ALL
            (SELECT conversation_id, id, channel_id, state, due_at, true FROM message
             WHERE lane_id = a.lane_id AND state IN ('pending', 'sending', 'verifying') AND conversation_id <= $4
             ORDER BY conversation_id, id LIMIT 1)
            UNION ALL
            SELECT n.*, h.wrapped FROM heads h CROSS JOIN LATERAL (
                SELECT conversation_id, id, channel_id, state, due_at FROM message
                WHERE lane_id = a.lane_id AND state IN ('pending', 'sending', 'verifying')
                    AND conversation_id > h.conversation_id AND (NOT h.wrapped OR conversation_id <= $4)
                ORDER BY conversation_id, id LIMIT 1) n
        )
        SELECT h.id FROM heads h
        WHERE h.state = 'pending' AND h.due_at <= now() AND NOT EXISTS (
            SELECT 1 FROM channel ch JOIN portal_config p ON p.id = ch.portal_id
            WHERE ch.id = h.channel_id AND ({held})) AND (
            -- A notice gets its id before it is committed: what came behind it meanwhile may be under way.
            SELECT true FROM message WHERE lane_id = a.lane_id AND conversation_id = h.conversation_id
                AND state IN ('pending', 'sending', 'verifying') AND {by_key} IN ('sending', 'verifying')
            LIMIT 1) IS NULL
        LIMIT a.room) p
    WHERE NOT {backed_off}
), free AS MATERIALIZED (
    SELECT m.id, picked.attempt_id FROM picked CROSS JOIN LATERAL (
        SELECT id FROM message WHERE id = picked.id AND {by_key} = 'pending' AND due_at <= now()
        FOR NO KEY UPDATE SKIP LOCKED) m
), claimed AS (
    UPDATE message SET attempt_id = free.attempt_id, state = 'sending', claimed_at = now() FROM free
    WHERE message.id = free.id RETURNING message.*
)
SELECT {claim} FROM claimed m JOIN conversation_mapping c ON c.id = m.conversation_id ORDER BY m.id
"""
_TO_SEND = {
    direction: _CLAIM.format(
        held=held, claim=CLAIM, by_key=STATE_BY_KEY, backed_off=BACKED_OFF.format(lane="a.lane_id")
    )
    for direction, held in HELD.items()
}

# What is verified was the oldest of its conversation when it was sent, and nothing overtakes it. While a runner looks
# for the proof, the message stays as it is and is not due.
_PROVE = """
WITH free AS MATERIALIZED (
    SELECT m.id FROM message m WHERE lane_id = $1 AND state = 'verifying' AND due_at <= now() AND NOT EXISTS (
        SELECT 1 FROM channel ch JOIN portal_config p ON p.id = ch.portal_id WHERE ch.id = m.channel_id AND ({held}))
    ORDER BY due_at LIMIT $3 FOR NO KEY UPDATE OF m SKIP LOCKED
), claimed AS (
    UPDATE message SET attempt_id = $2, due_at = now() + make_interval(secs => $4) FROM free
    WHERE message.id = free.id RETURNING message.*
)
SELECT {claim}, {twins} AS twins FROM claimed m JOIN conversation_mapping c ON c.id = m.conversation_id ORDER BY m.id
"""
# A notice is known by its words alone: those of another one that was told just before are not its proof.
_TWINS = """(SELECT count(*)::int FROM message t WHERE m.kind = 'notice' AND t.conversation_id = m.conversation_id
    AND t.kind = 'notice' AND t.id < m.id AND t.sent_at > m.created_at - interval '1 minute'
    AND t.content = m.content)"""
_TO_PROVE = {direction: _PROVE.format(held=held, claim=CLAIM, twins=_TWINS) for direction, held in HELD.items()}


class Way(msgspec.Struct, frozen=True):
    """A delivery lane in the ledger's terms: to which side, and to which portal or channel."""

    direction: Direction
    lane_id: UUID

    @property
    def lane(self) -> Lane:
        """What its bells name."""
        return delivery_lane(self.direction, self.lane_id)


class ClaimedRow(msgspec.Struct, frozen=True):
    """A claimed message, before its channel and portal are put beside it."""

    fields: Record

    @property
    def channel_id(self) -> UUID:
        channel_id: UUID = self.fields["channel_id"]
        return channel_id

    def to_claim(self, channel: Channel, portal: Portal) -> Claim:
        row = self.fields
        return Claim(
            message_id=MessageId(row["id"]),
            attempt_id=AttemptId(row["attempt_id"]),
            attempts=row["attempts"],
            unclear=row["unclear"],
            content=_content.decode(row["content"]),
            origin=Origin(row["origin"]),
            conversation=conversation_of(row),
            channel=channel,
            portal=portal,
            request_id=row["request_id"],
            created_at=row["created_at"],
            whatsapp_id=row["whatsapp_id"],
            bitrix_chat_id=row["bitrix_chat_id"],
            bitrix_message_id=row["bitrix_message_id"],
            part=row["part"],
            alone=row["alone"],
            suspect=row["suspect"],
            followed=row["followed"],
            twins=row.get("twins") or 0,
            parts=tuple(row.get("parts") or ()),
        )


class Ask(msgspec.Struct, frozen=True):
    """Who claims, for which portal or channel, and how many messages at the most."""

    lane_id: UUID
    attempt_id: AttemptId
    room: int


async def claim_to_send(
    connection: Connection, direction: Direction, asks: Sequence[Ask], *, after: UUID
) -> list[list[ClaimedRow]]:
    """What each of `asks` gets: due messages, each the oldest open one of its conversation, from `after` on.

    Of two processes that ask for the same portal or channel each message goes to one.
    """
    rows = await connection.fetch(
        _TO_SEND[direction],
        [ask.lane_id for ask in asks],
        [ask.attempt_id for ask in asks],
        [ask.room for ask in asks],
        after,
    )
    claimed: dict[UUID, list[ClaimedRow]] = {ask.attempt_id: [] for ask in asks}
    for row in rows:
        claimed[row["attempt_id"]].append(ClaimedRow(row))
    return [claimed[ask.attempt_id] for ask in asks]


async def claim_to_prove(
    connection: Connection, way: Way, attempt_id: AttemptId, *, limit: int, lease_s: float
) -> list[ClaimedRow]:
    """Messages whose call had no clear answer and whose proof is due."""
    rows = await connection.fetch(_TO_PROVE[way.direction], way.lane_id, attempt_id, limit, lease_s)
    return [ClaimedRow(row) for row in rows]


_HASTEN = """
UPDATE message SET due_at = now()
WHERE state = 'pending' AND due_at > now() AND (lane_id = $1 OR ($2::uuid IS NOT NULL AND lane_id = $2))
"""


async def hasten(connection: Connection, lane_id: UUID, other_lane_id: UUID | None = None) -> None:
    """What waits on these lanes is due now, files and confirmations included: what it waited for has been repaired."""
    await connection.execute(_HASTEN, lane_id, other_lane_id)
    lanes = [each for each in (lane_id, other_lane_id) if each is not None]
    await backoffs.end(connection, lanes)
    await files.hasten_all(connection, lane_id, other_lane_id)
    await awaited.hasten(connection, lanes)


def ways(rows: Sequence[Record]) -> list[Way]:
    """The lanes of messages."""
    return [Way(Direction(row["direction"]), row["lane_id"]) for row in rows]


_LANES_DUE = """
SELECT DISTINCT direction, lane_id FROM message
WHERE state IN ('pending', 'verifying') AND due_at < now() - make_interval(secs => $1) LIMIT $2
"""


async def lanes_due(connection: Connection, late_s: float, limit: int) -> list[Way]:
    """Delivery lanes with messages that are due for longer than `late_s`: their bell may be lost."""
    return ways(await connection.fetch(_LANES_DUE, late_s, limit))
