"""Confirmations: claim those that are due, and record what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from zaptrix.core.ids import MessageId
from zaptrix.core.limits import CONFIRM_HELD_S, CONFIRM_PARTS_S
from zaptrix.core.message.message import Direction
from zaptrix.store.connection.database import STATE_BY_KEY, Connection
from zaptrix.store.ledger.claims import CLAIM, HELD, ROUND_OF, ClaimedRow

BACK = {Direction.INBOUND: Direction.OUTBOUND, Direction.OUTBOUND: Direction.INBOUND}
OF_ROUND = ROUND_OF.format(owner="owner_id")

# One message of an operator's may be several here: it has arrived when none of them is on its way any more, and is
# confirmed with the ids of all, as the portal takes the first word for the whole.
_ON_ITS_WAY = f"""(SELECT true FROM message s WHERE s.portal_id = m.portal_id
    AND s.bitrix_message_id = m.bitrix_message_id AND {STATE_BY_KEY} IN ('pending', 'sending', 'verifying') LIMIT 1)"""  # noqa: S608
# The first that are due are taken, whatever becomes of them: what has to wait for somebody's hand is put off, so that
# it stands before nobody, however much it is. Each message is looked up by its key, one after another: as a join it
# might be held against the whole ledger. Rows of this table are found as one list: it is empty in a quiet minute, and a
# plan of that minute would read it all, once for each row of a join.
_CLAIM = """
WITH met AS MATERIALIZED (
    SELECT message_id FROM confirmation WHERE direction = '{direction}' AND {of_round} = $1 AND due_at <= now()
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
), known AS MATERIALIZED (
    SELECT met.message_id, m.id IS NULL OR m.state = 'dead' AS is_void, CASE
        WHEN EXISTS (SELECT FROM channel ch JOIN portal_config p ON p.id = ch.portal_id
            WHERE ch.id = m.channel_id AND ({held})) THEN $4::float8
        WHEN {on_its_way} THEN $5::float8 END AS wait_s
    FROM met LEFT JOIN LATERAL (
        SELECT id, state, channel_id, portal_id, bitrix_message_id FROM message WHERE id = met.message_id LIMIT 1
    ) m ON true
), void AS (
    DELETE FROM confirmation WHERE message_id = ANY(ARRAY(SELECT message_id FROM known WHERE is_void))
), put_off AS (
    UPDATE confirmation c SET due_at = now() + make_interval(secs => known.wait_s) FROM known
    WHERE c.message_id = ANY(ARRAY(SELECT message_id FROM known WHERE NOT is_void AND wait_s IS NOT NULL))
        AND c.message_id = known.message_id
), claimed AS (
    UPDATE confirmation SET due_at = now() + make_interval(secs => $3)
    WHERE message_id = ANY(ARRAY(SELECT message_id FROM known WHERE NOT is_void AND wait_s IS NULL))
    RETURNING message_id
)
SELECT met.count AS met, told.* FROM (SELECT count(*) FROM met) met LEFT JOIN (
    SELECT {claim}, ARRAY(SELECT s.whatsapp_id FROM message s WHERE s.portal_id = m.portal_id
        AND s.bitrix_message_id = m.bitrix_message_id AND s.whatsapp_id IS NOT NULL ORDER BY s.part) AS parts
    FROM claimed CROSS JOIN LATERAL (SELECT * FROM message WHERE id = claimed.message_id LIMIT 1) m
    JOIN conversation_mapping c ON c.id = m.conversation_id
) told ON true ORDER BY told.id
"""
# By the confirmed messages' direction: the word goes back to where they came from, and waits when that side is held.
_TO_CONFIRM = {
    direction: _CLAIM.format(
        of_round=OF_ROUND, direction=direction, held=HELD[back], claim=CLAIM, on_its_way=_ON_ITS_WAY
    )
    for direction, back in BACK.items()
}
# Rows of messages whose locks are held, or alone (lock order: docs/adr/0034).
_END = """
WITH mine AS MATERIALIZED (
    SELECT message_id, attempts FROM confirmation WHERE message_id = ANY($1::bigint[]) ORDER BY message_id FOR UPDATE
), ended AS MATERIALIZED (
    SELECT message_id, again_at, attempts + cost AS attempts, again_at IS NULL OR attempts + cost >= $4 AS is_over
    FROM mine JOIN unnest($1::bigint[], $2::timestamptz[], $3::smallint[]) AS t(id, again_at, cost) ON id = message_id
), over AS (
    DELETE FROM confirmation WHERE message_id = ANY(ARRAY(SELECT message_id FROM ended WHERE is_over))
)
UPDATE confirmation c SET attempts = ended.attempts, due_at = ended.again_at FROM ended
WHERE c.message_id = ANY(ARRAY(SELECT message_id FROM ended WHERE NOT is_over)) AND c.message_id = ended.message_id
"""


class ConfirmEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What one confirmation came to: done when `again_at` is None."""

    message_id: MessageId
    again_at: datetime | None
    costs_an_attempt: bool


class DueConfirmations(msgspec.Struct, frozen=True):
    """What is to be told now, and whether anything was due at all: there may be more."""

    rows: list[ClaimedRow]
    any: bool


async def claim(
    connection: Connection, direction: Direction, number: int, limit: int, lease_s: float
) -> DueConfirmations:
    """Messages of one direction that have arrived and whose origin, somebody of this round, is to be told so.

    What waits for a pause to end, or for another part of its message, is put off.
    """
    rows = await connection.fetch(_TO_CONFIRM[direction], number, limit, lease_s, CONFIRM_HELD_S, CONFIRM_PARTS_S)
    return DueConfirmations([ClaimedRow(row) for row in rows if row["id"] is not None], any=rows[0]["met"] > 0)


async def end(connection: Connection, ends: Sequence[ConfirmEnd], attempts_max: int) -> None:
    """Record confirmations; one that failed `attempts_max` times is given up, and what another has told stays told."""
    await connection.execute(
        _END,
        [end.message_id for end in ends],
        [end.again_at for end in ends],
        [int(end.costs_an_attempt) for end in ends],
        attempts_max,
    )


# A look at the beginning of each round's: however much is late, it costs the same.
_LATE = f"""
SELECT direction, number FROM unnest($2::text[]) direction CROSS JOIN generate_series(0, $3::int - 1) number
CROSS JOIN LATERAL (
    SELECT due_at FROM confirmation c WHERE c.direction = direction.direction AND {OF_ROUND} = number
    ORDER BY due_at LIMIT 1) first
WHERE first.due_at < now() - make_interval(secs => $1)
"""  # noqa: S608


class LateRound(msgspec.Struct, frozen=True):
    """A round with confirmations of one direction that are due for long."""

    direction: Direction
    number: int


async def rounds_late(connection: Connection, late_s: float, rounds: int) -> list[LateRound]:
    """Whose confirmations are due for longer than `late_s`: their bell may be lost."""
    rows = await connection.fetch(_LATE, late_s, list(Direction), rounds)
    return [LateRound(Direction(row["direction"]), row["number"]) for row in rows]


# Processes of the release before kept them in the message's own row, and still do beside this one.
_TAKE_OVER = """
WITH late AS MATERIALIZED (
    SELECT id, confirm_attempts FROM message WHERE confirm_due_at < now() - make_interval(secs => $1)
    LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    UPDATE message m SET confirm_due_at = NULL FROM late WHERE m.id = late.id
    RETURNING m.id, m.direction, m.channel_id, m.portal_id, late.confirm_attempts
)
INSERT INTO confirmation (message_id, direction, owner_id, due_at, attempts)
SELECT id, direction, CASE direction WHEN 'inbound' THEN channel_id ELSE portal_id END, now(), confirm_attempts
FROM taken ORDER BY id ON CONFLICT DO NOTHING
"""


async def take_over(connection: Connection, late_s: float, limit: int) -> None:
    """Take over what a process of the release before has left in its messages for longer than `late_s`."""
    await connection.execute(_TAKE_OVER, late_s, limit)
