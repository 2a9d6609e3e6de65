"""Settling: what an attempt came to, fenced by its id, and the next message of its conversation in the same statement.

Whoever ends a message takes the one behind it: no other trip looks for it, and no other runner can come between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from zaptrix.core.ids import AttemptId, MessageId
from zaptrix.core.message.message import Direction
from zaptrix.store.connection.database import STATE_BY_KEY, Connection
from zaptrix.store.ledger.awaited import AWAIT
from zaptrix.store.ledger.backoffs import BACKED_OFF
from zaptrix.store.ledger.claims import CLAIM, HELD, ClaimedRow


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt comes to, for the ledger."""

    message_id: MessageId
    attempt_id: AttemptId
    state: str
    costs_an_attempt: bool
    due_at: datetime | None = None
    whatsapp_id: str | None = None
    error_code: str | None = None
    error_detail: str | None = None
    confirm_in_s: float | None = None  # the side it came from is to be told in so many seconds, if nobody has till then
    next_attempt_id: AttemptId | None = None  # by which the next of its conversation is claimed; None: it is not


class Settled(NamedTuple):
    """The messages that were still theirs to settle, and what was claimed behind each."""

    ids: set[MessageId]
    following: dict[MessageId, ClaimedRow]


# In the order of their ids (lock order: docs/adr/0034). One after another by the primary key: a join of two lists
# compares each with each, which is why the last one, which cannot go by a key, is a full join: that is hashed or
# merged, never nested.
_SETTLE = """
WITH told AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::smallint[], $5::timestamptz[], $6::text[],
        $7::text[], $8::text[], $9::float8[], $10::uuid[])
        AS t(id, attempt_id, state, cost, due_at, whatsapp_id, error_code, error_detail, confirm_in_s, next_attempt_id)
    ORDER BY id
), mine AS MATERIALIZED (
    SELECT told.* FROM told CROSS JOIN LATERAL (
        SELECT FROM message WHERE id = told.id AND attempt_id = told.attempt_id
            AND {by_key} IN ('sending', 'verifying') FOR NO KEY UPDATE) m
), settled AS (
    UPDATE message m SET
        state = s.state, due_at = coalesce(s.due_at, m.due_at), attempts = m.attempts + s.cost, attempt_id = NULL,
        whatsapp_id = coalesce(m.whatsapp_id, s.whatsapp_id), error_code = s.error_code, error_detail = s.error_detail,
        sent_at = CASE s.state WHEN 'sent' THEN now() ELSE m.sent_at END,
        dead_at = CASE s.state WHEN 'dead' THEN now() ELSE m.dead_at END
    FROM mine s WHERE m.id = s.id
    RETURNING m.id, m.direction, m.channel_id, m.portal_id, m.lane_id, m.conversation_id, s.confirm_in_s,
        s.next_attempt_id
), awaited AS ({awaited}), following AS MATERIALIZED (
    SELECT s.id AS behind, s.next_attempt_id, n.id FROM settled s CROSS JOIN LATERAL (
        SELECT id, channel_id, state, due_at FROM message
        WHERE lane_id = s.lane_id AND conversation_id = s.conversation_id
            AND state IN ('pending', 'sending', 'verifying') AND id <> s.id ORDER BY id LIMIT 1) n
    WHERE s.next_attempt_id IS NOT NULL AND n.state = 'pending' AND n.due_at <= now() AND NOT {backed_off}
        AND NOT EXISTS (SELECT 1 FROM channel ch JOIN portal_config p ON p.id = ch.portal_id
            WHERE ch.id = n.channel_id AND ({held}))
), free AS MATERIALIZED (
    SELECT m.id, f.behind, f.next_attempt_id FROM following f CROSS JOIN LATERAL (
        SELECT id FROM message WHERE id = f.id AND {by_key} = 'pending' AND due_at <= now()
        FOR NO KEY UPDATE SKIP LOCKED) m
), claimed AS (
    UPDATE message SET attempt_id = free.next_attempt_id, state = 'sending', claimed_at = now() FROM free
    WHERE message.id = free.id RETURNING message.*, free.behind
), claims AS (
    SELECT m.behind, {claim} FROM claimed m JOIN conversation_mapping c ON c.id = m.conversation_id
)
SELECT s.id AS settled_id, c.* FROM settled s FULL JOIN claims c ON c.behind = s.id
"""
_SETTLE_OF = {
    direction: _SETTLE.format(
        by_key=STATE_BY_KEY, awaited=AWAIT, held=held, backed_off=BACKED_OFF.format(lane="s.lane_id"), claim=CLAIM
    )
    for direction, held in HELD.items()
}
_CODE_MAX = 64
_DETAIL_MAX = 500


async def settle(connection: Connection, direction: Direction, settlements: Sequence[Settlement]) -> Settled:
    """Write what attempts came to, and claim what is to go on behind them."""
    rows = await connection.fetch(
        _SETTLE_OF[direction],
        [s.message_id for s in settlements],
        [s.attempt_id for s in settlements],
        [s.state for s in settlements],
        [int(s.costs_an_attempt) for s in settlements],
        [s.due_at for s in settlements],
        [s.whatsapp_id for s in settlements],
        [_told(s.error_code, _CODE_MAX) for s in settlements],
        [_told(s.error_detail, _DETAIL_MAX) for s in settlements],
        [s.confirm_in_s for s in settlements],
        [s.next_attempt_id for s in settlements],
    )
    return Settled(
        {MessageId(row["settled_id"]) for row in rows},
        {MessageId(row["settled_id"]): ClaimedRow(row) for row in rows if row["behind"] is not None},
    )


_FAILED = """
INSERT INTO attempt (message_id, number, verdict, code, detail)
SELECT f.id, m.attempts, f.verdict, f.code, f.detail
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS f(id, verdict, code, detail)
JOIN message m ON m.id = f.id
"""


class FailedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt, for the message's timeline."""

    message_id: MessageId
    verdict: str
    code: str
    detail: str


async def record_failures(connection: Connection, failures: Sequence[FailedAttempt]) -> None:
    await connection.execute(
        _FAILED,
        [f.message_id for f in failures],
        [f.verdict for f in failures],
        [_told(f.code, _CODE_MAX) for f in failures],
        [_told(f.detail, _DETAIL_MAX) for f in failures],
    )


def _told(text: str | None, characters: int) -> str | None:
    """What a platform said, as PostgreSQL takes it: no word of theirs may keep a verdict from being written."""
    if text is None:
        return None
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:characters]
