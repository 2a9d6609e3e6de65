"""Recovery: signs of life, outages, held events, and how far each conversation's history was looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.ids import ConversationId, MessageId, PortalId, external_chat_id
from zaptrix.core.recovery import Chat
from zaptrix.store.connection.database import Connection, Record
from zaptrix.store.people.conversations import EACH_IN_ORDER

# --- signs of life ---------------------------------------------------------------------------------------------------

_LAST_BEAT = "SELECT now() AS at, at IS NULL OR at < now() - make_interval(secs => $1) AS silent FROM gateway_beat"

# Whoever writes the beat first after a silence is the one who tells the portals' recovery of it. Meta repeats a webhook
# with a pause that doubles, so the next try of one that failed is no further away than the silence was long.
_BEAT = """
WITH last AS (SELECT at, at < now() - make_interval(secs => $1) OR at <= $2 AS away FROM gateway_beat FOR UPDATE),
beat AS (
    UPDATE gateway_beat b SET at = now(),
        statuses_until = CASE WHEN last.away THEN greatest(b.statuses_until, now() + (now() - last.at))
            ELSE b.statuses_until END
    FROM last RETURNING last.at AS was, last.away
),
away AS (SELECT was FROM beat WHERE away)
INSERT INTO recovery AS r (portal_id, away_from, away_until, next_at)
SELECT p.id, away.was, now(), now() FROM away CROSS JOIN portal_config p
ON CONFLICT (portal_id) DO UPDATE SET away_until = excluded.away_until, ended_at = NULL, next_at = now(),
    refused_reason = NULL,
    away_from = CASE WHEN r.ended_at IS NULL THEN least(r.away_from, excluded.away_from) ELSE excluded.away_from END
RETURNING portal_id
"""
_UNDER_WAY = "SELECT portal_id FROM recovery WHERE away_until IS NOT NULL AND ended_at IS NULL"


async def last_beat(connection: Connection, silent_s: float) -> tuple[datetime, bool]:
    """The database's time, and whether no gateway has given a sign of life for `silent_s`."""
    row = await connection.fetchrow(_LAST_BEAT, silent_s)
    assert row is not None
    return row["at"], row["silent"]


async def beat(connection: Connection, silent_s: float, *, alone_since: datetime | None) -> int:
    """Give a sign of life; in how many portals an outage has to be recovered from now on.

    It was one when nobody gave a sign for `silent_s`, or none since `alone_since`.
    """
    return len(await connection.fetch(_BEAT, silent_s, alone_since))


_STATUSES_UNDER_WAY = """
SELECT CASE WHEN at < now() - make_interval(secs => $1) THEN $2
    ELSE greatest(0, extract(epoch FROM statuses_until - now()) + $2) END::float8
FROM gateway_beat
"""


async def statuses_under_way_s(connection: Connection, quiet_s: float, wait_s: float) -> float:
    """How many seconds a status may need yet that Meta could not deliver; `wait_s` is what it needs at the most."""
    left_s: float | None = await connection.fetchval(_STATUSES_UNDER_WAY, quiet_s, wait_s)
    return left_s or 0.0


async def under_way(connection: Connection) -> frozenset[PortalId]:
    """Portals whose conversations are being looked at after an outage."""
    return frozenset(PortalId(row["portal_id"]) for row in await connection.fetch(_UNDER_WAY))


# --- which portals, which conversations ------------------------------------------------------------------------------


class Outage(msgspec.Struct, frozen=True):
    """When the gateway was away, for one portal whose recovery is not over."""

    portal_id: PortalId
    away_from: datetime
    away_until: datetime


_OUTAGES = """
SELECT r.portal_id, r.away_from, r.away_until FROM recovery r JOIN portal_config p ON p.id = r.portal_id
WHERE r.away_until IS NOT NULL AND r.ended_at IS NULL AND r.next_at <= now() AND p.paused_at IS NULL
    AND r.portal_id <> ALL($2)
ORDER BY r.next_at LIMIT $1
"""
_ENDED = "UPDATE recovery SET ended_at = now(), next_at = now() WHERE portal_id = $1 AND away_until = $2"
_PUT_OFF = "UPDATE recovery SET next_at = now() + make_interval(secs => $2) WHERE portal_id = $1"
_REFUSED = """
UPDATE recovery SET refused_reason = left($2, 500), ended_at = now(), next_at = now() + make_interval(hours => $3)
WHERE portal_id = $1
"""


async def outages(connection: Connection, limit: int, but: Sequence[PortalId]) -> list[Outage]:
    """What is to be recovered from now, of other portals than these."""
    return [Outage(**row) for row in await connection.fetch(_OUTAGES, limit, but)]


async def ended(connection: Connection, outage: Outage) -> None:
    """Every conversation was looked at. A later outage of the same portal stays open."""
    await connection.execute(_ENDED, outage.portal_id, outage.away_until)


async def put_off(connection: Connection, portal_id: PortalId, wait_s: float) -> None:
    await connection.execute(_PUT_OFF, portal_id, wait_s)


async def refused(connection: Connection, portal_id: PortalId, reason: str, hours: int) -> None:
    """The portal does not let us look. It is asked again after `hours`, an outage or an admin's repair."""
    await connection.execute(_REFUSED, portal_id, reason, hours)


_ALLOWED = "UPDATE recovery SET refused_reason = NULL WHERE portal_id = $1 AND refused_reason IS NOT NULL"


async def allowed(connection: Connection, portal_id: PortalId) -> None:
    """The portal lets us look (again)."""
    await connection.execute(_ALLOWED, portal_id)


# Spread, so that portals which began together do not stay together.
_ROUNDS = """
WITH fresh AS (
    INSERT INTO recovery (portal_id) SELECT p.id FROM portal_config p
    WHERE NOT EXISTS (SELECT 1 FROM recovery r WHERE r.portal_id = p.id)
    ON CONFLICT DO NOTHING
), due AS (
    SELECT r.portal_id FROM recovery r JOIN portal_config p ON p.id = r.portal_id
    WHERE (r.next_at <= now() OR (r.refused_reason IS NOT NULL AND p.updated_at > r.ended_at))
        AND (r.away_until IS NULL OR r.ended_at IS NOT NULL) AND p.paused_at IS NULL
    ORDER BY r.next_at LIMIT $2 FOR UPDATE OF r SKIP LOCKED
)
UPDATE recovery r SET next_at = now() + make_interval(secs => $1 * (0.75 + random() / 2)) FROM due
WHERE r.portal_id = due.portal_id RETURNING r.portal_id
"""


async def rounds(connection: Connection, every_s: float, limit: int) -> list[PortalId]:
    """Portals whose conversations are to be looked at although nobody was away; they are due again in `every_s`."""
    return [PortalId(row["portal_id"]) for row in await connection.fetch(_ROUNDS, every_s, limit)]


_CHAT = """c.id, c.channel_id, c.bitrix_chat_id, c.bitrix_session_id, c.looked_message_id, ch.line_id
FROM conversation_mapping c JOIN channel ch ON ch.id = c.channel_id"""

# Conversations whose events wait come first, then those that spoke last.
_AFTER_OUTAGE = f"""
WITH held AS (
    SELECT DISTINCT substring(convert_from(body, 'UTF8') FROM 'zx1-[0-9a-f]{{32}}-([0-9a-f]{{32}})')::uuid AS id
    FROM event WHERE state = 'held' AND lane LIKE $1::text || '.%'
)
SELECT {_CHAT} LEFT JOIN held ON held.id = c.id
WHERE c.portal_id = $1::text::uuid AND c.bitrix_chat_id IS NOT NULL AND c.created_at < $3
    AND c.last_message_at > $2::timestamptz - make_interval(hours => $4, mins => 1)
    AND (c.looked_at IS NULL OR c.looked_at < $3)
ORDER BY held.id IS NULL, c.last_message_at DESC LIMIT $5
"""  # noqa: S608

# The longer a conversation is silent, the more seldom it is looked at: after an hour of silence every 15 minutes, after
# a day every six hours.
_ROUND = f"""
SELECT {_CHAT}
WHERE c.portal_id = $1 AND c.bitrix_chat_id IS NOT NULL
    AND c.last_message_at > now() - make_interval(hours => $2, mins => 1)
    AND (c.looked_at IS NULL OR c.looked_at < now() - greatest(
        make_interval(secs => $3 * 0.7), (now() - c.last_message_at) / 4))
ORDER BY c.last_message_at DESC LIMIT $4
"""


async def after_outage(connection: Connection, outage: Outage, hours: int, limit: int) -> list[Chat]:
    """Conversations in which somebody may have written while we were away, and that were not looked at since."""
    rows = await connection.fetch(
        _AFTER_OUTAGE, str(outage.portal_id), outage.away_from, outage.away_until, hours, limit
    )
    return list(map(_chat, rows))


async def round_of(connection: Connection, portal_id: PortalId, hours: int, every_s: float, limit: int) -> list[Chat]:
    """Conversations that it is time to look at again."""
    return list(map(_chat, await connection.fetch(_ROUND, portal_id, hours, every_s, limit)))


def _chat(row: Record) -> Chat:
    return Chat(
        conversation_id=ConversationId(row["id"]),
        external_chat_id=external_chat_id(row["channel_id"], row["id"]),
        line_id=row["line_id"],
        bitrix_chat_id=row["bitrix_chat_id"],
        bitrix_session_id=row["bitrix_session_id"],
        looked_message_id=row["looked_message_id"],
    )


_LOOKED = f"""
WITH told AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS t(id, last_message_id) ORDER BY id
), {EACH_IN_ORDER}
UPDATE conversation_mapping c SET looked_at = $3,
    looked_message_id = greatest(c.looked_message_id, looked.last_message_id)
FROM mine looked WHERE c.id = looked.id
"""  # noqa: S608


async def looked(connection: Connection, seen: Sequence[tuple[ConversationId, int | None]], asked_at: datetime) -> None:
    """These conversations were looked at when it was `asked_at`, each up to a message of its chat."""
    await connection.execute(_LOOKED, [each[0] for each in seen], [each[1] for each in seen], asked_at)


_NOW = "SELECT now()"


async def clock(connection: Connection) -> datetime:
    """The database's time, by which outages are told."""
    at: datetime = await connection.fetchval(_NOW)
    return at


# --- messages and events ---------------------------------------------------------------------------------------------

_KNOWN = "SELECT bitrix_message_id FROM message WHERE portal_id = $1 AND bitrix_message_id = ANY($2)"


async def known(connection: Connection, portal_id: PortalId, bitrix_message_ids: Sequence[int]) -> set[int]:
    """Those messages of a portal that are in the ledger."""
    rows = await connection.fetch(_KNOWN, portal_id, bitrix_message_ids)
    return {row["bitrix_message_id"] for row in rows}


_RELEASE = """
UPDATE event SET state = 'new' FROM unnest($1::text[]) AS looked(chat_id)
WHERE event.state = 'held' AND position(looked.chat_id IN convert_from(event.body, 'UTF8')) > 0 RETURNING event.lane
"""
# While nobody has given a sign of life it is not known yet whether there will be a recovery.
_RELEASE_OVERDUE = """
UPDATE event SET state = 'new' WHERE state = 'held' AND (received_at < now() - make_interval(secs => $1) OR (
    EXISTS (SELECT 1 FROM gateway_beat WHERE at >= now() - make_interval(secs => $2)) AND NOT EXISTS (
        SELECT 1 FROM recovery r WHERE r.portal_id = split_part(event.lane, '.', 1)::uuid
            AND r.away_until IS NOT NULL AND r.ended_at IS NULL))) RETURNING lane
"""


async def release(connection: Connection, chats: Sequence[Chat]) -> set[Lane]:
    """Let the events of these conversations be routed: nothing older is missing any more. The lanes to ring."""
    rows = await connection.fetch(_RELEASE, [chat.external_chat_id for chat in chats])
    return {Lane(Queue.OUTBOUND, row["lane"]).round for row in rows}


async def release_overdue(connection: Connection, held_s_max: float, silent_s: float) -> set[Lane]:
    """Let go what has waited too long, or waits for a recovery that is over or never began. The lanes to ring."""
    rows = await connection.fetch(_RELEASE_OVERDUE, held_s_max, silent_s)
    return {Lane(Queue.OUTBOUND, row["lane"]).round for row in rows}


class LateMark(msgspec.Struct, frozen=True, kw_only=True):
    """What recovery knows of a message that it put into the ledger. `give_up`: it is a dead letter, for this reason."""

    portal_id: PortalId
    bitrix_message_id: int
    late: bool
    give_up: str | None


_MARK_LATE = """
UPDATE message SET late = r.late, state = CASE WHEN r.give_up IS NULL THEN state ELSE 'dead' END,
    dead_at = CASE WHEN r.give_up IS NULL THEN dead_at ELSE now() END, error_code = r.give_up
FROM unnest($2::uuid[], $3::bigint[], $4::boolean[], $5::text[]) AS r(portal_id, bitrix_message_id, late, give_up)
WHERE message.id = ANY($1) AND message.portal_id = r.portal_id AND message.bitrix_message_id = r.bitrix_message_id
"""


async def mark_late(connection: Connection, new: Sequence[MessageId], marks: Sequence[LateMark]) -> None:
    """Mark those of the messages just written that were late, and bury those that are not to be sent any more."""
    await connection.execute(
        _MARK_LATE,
        new,
        [mark.portal_id for mark in marks],
        [mark.bitrix_message_id for mark in marks],
        [mark.late for mark in marks],
        [mark.give_up for mark in marks],
    )


_REFUSALS = """
SELECT p.portal_url, r.refused_reason FROM (
    SELECT portal_id, refused_reason FROM recovery UNION ALL
    SELECT q.portal_id, q.refused_reason FROM offline_queue q JOIN portal_config o ON o.id = q.portal_id
    WHERE o.offline_events
) r JOIN portal_config p ON p.id = r.portal_id
WHERE r.refused_reason IS NOT NULL ORDER BY p.portal_url LIMIT $1
"""


async def refusals(connection: Connection, limit: int) -> list[tuple[str, str]]:
    """Portals that do not let us look at their history or their queue, and in which words."""
    return [(row["portal_url"], row["refused_reason"]) for row in await connection.fetch(_REFUSALS, limit)]
