"""The journal of webhook items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from operator import itemgetter

import asyncpg
import msgspec

from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.event import Event, EventState, NewEvent
from zaptrix.core.ids import EventId
from zaptrix.core.message.message import Side
from zaptrix.core.portal import Channel
from zaptrix.store.accounts.channels import GONE_OVER
from zaptrix.store.connection.database import Connection, Record, Session

_SOURCES = {Queue.INCOMING: Side.WHATSAPP, Queue.OUTBOUND: Side.BITRIX24}
_QUEUES = {source: queue for queue, source in _SOURCES.items()}

_APPEND = """
INSERT INTO event (source, name, key, lane, body, request_id, state, reason)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[])
ON CONFLICT DO NOTHING RETURNING key
"""


async def append(connection: Connection, events: Sequence[NewEvent]) -> set[bytes]:
    """Write `events` to the journal, in order; the keys of the new ones.

    One that is there already (today, by its key) is left as it is.
    """
    rows = await connection.fetch(
        _APPEND,
        [event.source.value for event in events],
        [event.name for event in events],
        [event.key for event in events],
        [event.lane.name for event in events],
        [event.body for event in events],
        [event.request_id for event in events],
        [event.state.value for event in events],
        [event.reason for event in events],
    )
    return {row["key"] for row in rows}


# Over midnight a message may be told of on one day and looked for on the next.
_HEARD = "SELECT key FROM event WHERE received_on >= current_date - 1 AND key = ANY($1)"


async def heard(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Those of `keys` that are in the journal of today or yesterday, routed or not."""
    return {row["key"] for row in await connection.fetch(_HEARD, keys)}


# A routing lane is named `tenant.round`.
_ROUND = "split_part(lane, '.', -1)"
_FIELDS = "id, received_on, received_at, source, name, lane, body, request_id"
# Each round by itself, along its index: under one list of rounds, all that waits would be read and sorted.
_WAITING = f"""
SELECT w.* FROM unnest($2::text[]) AS r(round) CROSS JOIN LATERAL (
    SELECT {_FIELDS} FROM event
    WHERE source = $1 AND {_ROUND} = r.round AND state = 'new' {{more}} ORDER BY id LIMIT $3) w
ORDER BY id LIMIT $3
"""  # noqa: S608

# What came after a held event of its conversation waits with it: the gateways learn of an outage and of its end one
# after the other, so one may still hold what another lets pass. The list is made once a statement, not once an event.
_HELD = f"""
WITH held AS MATERIALIZED (
    SELECT lane, id, substring(convert_from(body, 'UTF8') FROM 'zx1-[0-9a-f]{{{{32}}}}-[0-9a-f]{{{{32}}}}') AS chat
    FROM event WHERE state = 'held' AND {_ROUND} = ANY($2::text[])
)
"""  # noqa: S608
_NOT_BEHIND_HELD = """
    AND NOT EXISTS (SELECT 1 FROM held WHERE held.lane = event.lane AND held.id < event.id
        AND position(held.chat IN convert_from(event.body, 'UTF8')) > 0)
"""
_WAITING_OF = {
    Queue.INCOMING: _WAITING.format(more=""),
    Queue.OUTBOUND: (_HELD + _WAITING).format(more=_NOT_BEHIND_HELD),
}

# Where more waits than a batch holds, each tenant gets a share of it, the oldest first. Hops from lane to lane along
# the index: it costs what it returns, however long the backlog of one of them.
_SHARES = f"""
lanes AS (
    SELECT r.round, f.lane FROM unnest($2::text[]) AS r(round) CROSS JOIN LATERAL (
        SELECT lane FROM event WHERE source = $1 AND {_ROUND} = r.round AND state = 'new' ORDER BY lane LIMIT 1) f
    UNION ALL
    SELECT l.round, n.lane FROM lanes l CROSS JOIN LATERAL (
        SELECT lane FROM event WHERE source = $1 AND {_ROUND} = l.round AND state = 'new' AND lane > l.lane
        ORDER BY lane LIMIT 1) n
), share AS MATERIALIZED (SELECT greatest($3::int / count(*), $4::int) AS each FROM lanes),
waits AS (
    SELECT w.*, row_number() OVER (PARTITION BY w.lane ORDER BY w.id) AS nth FROM lanes CROSS JOIN LATERAL (
        SELECT {_FIELDS} FROM event
        WHERE source = $1 AND {_ROUND} = lanes.round AND state = 'new' AND lane = lanes.lane {{more}}
        ORDER BY id LIMIT (SELECT each FROM share)) w
)
SELECT {_FIELDS} FROM waits ORDER BY nth, id LIMIT $3::int
"""  # noqa: S608
_SHARES_OF = {
    Queue.INCOMING: ("WITH RECURSIVE" + _SHARES).format(more=""),
    Queue.OUTBOUND: (_HELD.replace("WITH", "WITH RECURSIVE") + "," + _SHARES).format(more=_NOT_BEHIND_HELD),
}
_SHARE_MIN = 10


_UNREAD = f"""
SELECT {{way}}(id) FROM event WHERE source = $1 AND {_ROUND} = $2 AND lane = $3 AND state = 'new'
"""  # noqa: S608
_UNREAD_ENDS = f"SELECT ({_UNREAD.format(way='min')}) AS first, ({_UNREAD.format(way='max')}) AS last"


async def unread(connection: Connection, lane: Lane) -> tuple[EventId | None, EventId | None]:
    """The first and the last event of a tenant that nobody has routed yet; None: all are."""
    row = await connection.fetchrow(_UNREAD_ENDS, _SOURCES[lane.queue].value, lane.round.name, lane.name)
    return (row["first"], row["last"]) if row else (None, None)


async def waiting(connection: Connection, rounds: Sequence[Lane], limit: int) -> list[Event]:
    """Events of rounds of one queue that were not routed yet, and wait for nothing; in order.

    The oldest; of more than `limit` a share of each tenant, so that a backlog of one is not waited for by the others.
    """
    queue = rounds[0].queue
    source, numbers = _SOURCES[queue].value, [lane.round.name for lane in rounds]
    rows = await connection.fetch(_WAITING_OF[queue], source, numbers, limit)
    if len(rows) == limit:
        shares = await connection.fetch(_SHARES_OF[queue], source, numbers, limit, min(_SHARE_MIN, limit))
        rows = sorted(shares, key=itemgetter("id"))
    return [_event(row) for row in rows]


# One transaction at a time routes a round, even when Redis gave it to two runners. Nobody waits for another: the rounds
# that are free go on.
_BEGIN = f"""
SELECT ARRAY(SELECT round FROM unnest($1::text[]) AS r(round)
        WHERE pg_try_advisory_xact_lock(hashtextextended($2 || '/' || round, 0))) AS ours,
    {GONE_OVER.format(numbers="$3", ids="$4")} AS gone_over
"""  # noqa: S608


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known before a batch is written."""

    elsewhere: frozenset[Lane]  # rounds that another transaction is routing right now
    gone_over: bool  # one of its numbers is not that channel's any more


async def begin(connection: Connection, rounds: Iterable[Lane], by_number: Mapping[str, Channel]) -> Begun:
    """Take rounds of one queue until the transaction ends, and look whose numbers are; in one trip."""
    by_name = {lane.round.name: lane.round for lane in rounds}
    queue = next(iter(by_name.values())).queue
    ids = [channel.id for channel in by_number.values()]
    row = await connection.fetchrow(_BEGIN, sorted(by_name), queue.value, list(by_number), ids)
    assert row is not None
    return Begun(
        elsewhere=frozenset(lane for name, lane in by_name.items() if name not in row["ours"]),
        gone_over=row["gone_over"],
    )


_MARK = """
UPDATE event SET state = m.state, reason = m.reason, routed_at = now()
FROM unnest($1::date[], $2::bigint[], $3::text[], $4::text[]) AS m(received_on, id, state, reason)
WHERE event.received_on = m.received_on AND event.id = m.id AND event.state = 'new'
"""


class EventMark(msgspec.Struct, frozen=True):
    """What routing made of one event."""

    event: Event
    state: EventState
    reason: str | None = None


async def mark(connection: Connection, marks: Sequence[EventMark]) -> bool:
    """Record what became of the events; False when another runner was there first (then nothing may be kept)."""
    status = await connection.execute(
        _MARK,
        [m.event.received_on for m in marks],
        [m.event.id for m in marks],
        [m.state.value for m in marks],
        [m.reason for m in marks],
    )
    return status == f"UPDATE {len(marks)}"


# A digest still shows that the same came again, and what an admin was asked about.
DIGEST = b"sha256:"
_STRIP = """
UPDATE event SET body = convert_to('sha256:' || encode(sha256(body), 'hex'), 'UTF8'),
    reason = concat_ws('; ', reason, $3::text)
FROM unnest($1::date[], $2::bigint[]) AS m(received_on, id)
WHERE event.received_on = m.received_on AND event.id = m.id
"""


async def strip(connection: Connection, events: Sequence[Event], reason: str) -> None:
    """Keep only the digest of what these events held, and say why."""
    await connection.execute(_STRIP, [e.received_on for e in events], [e.id for e in events], reason)


_ROUNDS_WAITING = f"""
SELECT DISTINCT source, {_ROUND} AS lane FROM event WHERE state = 'new' AND received_at < $1 LIMIT $2
"""  # noqa: S608


async def rounds_waiting(connection: Connection, before: datetime, limit: int) -> list[Lane]:
    """Rounds of routing with events that have waited since `before`."""
    rows = await connection.fetch(_ROUNDS_WAITING, before, limit)
    return [Lane(_QUEUES[Side(row["source"])], row["lane"]) for row in rows]


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the API shows it; the body stays inside (it holds what people wrote)."""

    id: int
    received_at: datetime
    source: str
    name: str
    state: str
    reason: str | None
    request_id: str
    bytes: int


_LIST = """
SELECT id, received_at, source, name, state, reason, request_id, length(body) AS bytes
FROM event WHERE state = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""


async def listed(connection: Connection, state: EventState, before: int | None, limit: int) -> list[EventView]:
    """Events of one state, newest first, older than `before`."""
    return [EventView(**row) for row in await connection.fetch(_LIST, state.value, before, limit)]


_REPLAY = """
UPDATE event SET state = 'new', reason = NULL, routed_at = NULL
WHERE id = $1 AND state IN ('unroutable', 'ignored') AND substring(body FOR 7) <> $2 RETURNING source, lane
"""


async def replay(connection: Connection, event_id: EventId) -> Lane | None:
    """Make an unroutable or ignored event new again; its round, or None when there is no such event.

    One that is kept by its digest alone cannot be routed any more.
    """
    row = await connection.fetchrow(_REPLAY, event_id, DIGEST)
    return Lane(_QUEUES[Side(row["source"])], row["lane"]).round if row else None


_REPLAY_NUMBER = """
UPDATE event SET state = 'new', reason = NULL, routed_at = NULL
WHERE state = 'unroutable' AND source = 'whatsapp' AND lane LIKE $1 || '.%'
    AND ($2::timestamptz IS NULL OR received_at >= $2) RETURNING lane
"""


async def replay_number(connection: Connection, phone_number_id: str, since: datetime | None = None) -> set[Lane]:
    """Make what came for a number before anybody had connected it new again; the rounds to ring.

    `since`: until then the number was another portal's, and so is what came for it.
    """
    rows = await connection.fetch(_REPLAY_NUMBER, phone_number_id, since)
    return {Lane(Queue.INCOMING, row["lane"]).round for row in rows}


_MOVES_AGAIN = """
UPDATE event SET state = 'new', reason = NULL, routed_at = NULL
WHERE state = 'ignored' AND name = 'messages.system' AND lane = $1 AND source = 'whatsapp' AND id <> ALL($2::bigint[])
    AND received_on >= current_date - $3::int RETURNING lane
"""


async def moves_again(connection: Connection, lane: Lane, *, beside: Sequence[EventId], days: int) -> set[Lane]:
    """Make what Meta told of customers' ids in the last days, and moved nobody, new again; the rounds to ring."""
    rows = await connection.fetch(_MOVES_AGAIN, lane.name, list(beside), days)
    return {Lane(Queue.INCOMING, row["lane"]).round for row in rows}


_BEGAN = "SELECT EXISTS (SELECT FROM event_default WHERE received_on = $1)"
_PARTITION = """
CREATE TABLE IF NOT EXISTS event_{day:%Y%m%d} PARTITION OF event FOR VALUES FROM ('{day}') TO ('{next_day}')
"""


async def add_partition(connection: Connection | Session, day: date) -> None:
    """Make the partition of one day, if it is not there. To be called outside of a transaction."""
    # A day whose first events came before its partition stays in the default one as a whole; PostgreSQL would find that
    # out by reading all of it, with everybody shut out. And another process may be making it right now.
    if await connection.fetchval(_BEGAN, day):
        return
    with suppress(asyncpg.CheckViolationError, asyncpg.DuplicateTableError, asyncpg.UniqueViolationError):
        await _change(connection, _PARTITION.format(day=day, next_day=day + timedelta(days=1)))


async def _change(connection: Connection | Session, statement: str) -> bool:
    """Whether the journal's tables could be changed: who waits for them stands before all who come after, gateways
    with what was just written among them. So it gives way to a backup, or whoever else lasts, until the next time."""
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{limits.TABLE_LOCK_WAIT_MS}ms'")
            await connection.execute(statement)
    except asyncpg.LockNotAvailableError:
        return False
    return True


_PARTITIONS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass AND c.relname ~ '^event_[0-9]{8}$' ORDER BY c.relname
"""


async def partitions(connection: Connection | Session) -> list[str]:
    """The partitions of days, oldest first, as `event_YYYYMMDD`."""
    return [row["relname"] for row in await connection.fetch(_PARTITIONS)]


_FORGET_UNPARTITIONED = "DELETE FROM event_default WHERE received_on < $1"


async def forget(connection: Connection, before: date) -> list[str]:
    """Forget the days before `before`; the partitions that are gone now."""
    days = [name for name in await partitions(connection) if name < f"event_{before:%Y%m%d}"]
    gone = [name for name in days if await _change(connection, f"DROP TABLE IF EXISTS {name}")]
    await connection.execute(_FORGET_UNPARTITIONED, before)
    return gone


def _event(row: Record) -> Event:
    fields = dict(row)
    source = Side(fields["source"])
    fields.update(source=source, lane=Lane(_QUEUES[source], fields["lane"]))
    return Event(**fields)
