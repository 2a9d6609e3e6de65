"""The journal: each webhook item once a day, in its lane's order, forgotten a day at a time."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.store.ledger.test_quiet_statistics import blocks
from tests.store.ledger_rows import Ledger
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.event import Event, EventState, NewEvent
from zaptrix.core.ids import ChannelId, ConversationId, EventId, external_chat_id
from zaptrix.core.message.message import Side
from zaptrix.store.connection.database import StoreRefused
from zaptrix.store.journal import events, recovery
from zaptrix.store.journal.events import EventMark

LANE = Lane(Queue.INCOMING, "210987654321098.4")
CHATS = Lane(Queue.OUTBOUND, "0b8f9f1e-7c1b-4b53-9d0e-5f7a5f6f1a01.3")
TODAY = datetime.now(UTC).date()
TOMORROW = TODAY + timedelta(days=1)


def an_event(number: int, **changes: Any) -> NewEvent:
    fields: dict[str, Any] = {
        "source": Side.WHATSAPP,
        "name": "messages.text",
        "key": number.to_bytes(16, "big"),
        "lane": LANE,
        "body": b'{"n":%d}' % number,
        "request_id": f"r-{number}",
    }
    return NewEvent(**fields | changes)


async def append(ledger: Ledger, *new: NewEvent) -> None:
    async with ledger.database.transaction() as connection:
        await events.append(connection, new)


async def waiting(ledger: Ledger, lane: Lane = LANE, limit: int = 100) -> list[Event]:
    async with ledger.database.connection() as connection:
        return await events.waiting(connection, [lane], limit)


async def mark(ledger: Ledger, *marks: EventMark) -> bool:
    async with ledger.database.transaction() as connection:
        return await events.mark(connection, marks)


async def test_an_item_that_is_delivered_again_on_the_same_day_is_one_event(ledger: Ledger) -> None:
    await append(ledger, an_event(1), an_event(1, body=b"again"))
    await append(ledger, an_event(1, body=b"and again"), an_event(2))
    assert [event.body for event in await waiting(ledger)] == [b'{"n":1}', b'{"n":2}']


async def test_a_lane_gives_its_oldest_new_events_in_order(ledger: Ledger) -> None:
    other = Lane(Queue.INCOMING, "210987654321098.5")
    same_name = Lane(Queue.OUTBOUND, LANE.name)
    await append(
        ledger,
        *(an_event(number) for number in range(5)),
        an_event(5, lane=other),
        an_event(6, source=Side.BITRIX24, lane=same_name),
        an_event(7, state=EventState.UNROUTABLE, reason="broken"),
    )
    first = await waiting(ledger, limit=3)
    assert [event.request_id for event in first] == ["r-0", "r-1", "r-2"]
    assert first[0].lane == LANE
    assert first[0].received_on == TODAY
    assert await mark(ledger, *(EventMark(event, EventState.ROUTED) for event in first))
    assert [event.request_id for event in await waiting(ledger)] == ["r-3", "r-4"]
    assert [event.request_id for event in await waiting(ledger, other)] == ["r-5"]
    assert [event.request_id for event in await waiting(ledger, same_name)] == ["r-6"]


def said_in(chat: str, number: int, **changes: Any) -> NewEvent:
    body = b'{"chat":{"id":"%s"},"n":%d}' % (chat.encode(), number)
    return an_event(number, source=Side.BITRIX24, lane=CHATS, body=body, **changes)


async def test_what_comes_after_a_held_event_of_its_conversation_waits_with_it(ledger: Ledger) -> None:
    talk, other = (external_chat_id(ChannelId(uuid4()), ConversationId(uuid4())) for _ in range(2))
    await append(ledger, said_in(talk, 1))
    await append(ledger, said_in(talk, 2, state=EventState.HELD))
    # Another gateway, which has not heard of the outage yet, or has heard of its end already.
    await append(ledger, said_in(talk, 3), said_in(other, 4), said_in("no chat of ours", 5))
    assert [event.request_id for event in await waiting(ledger, CHATS)] == ["r-1", "r-4", "r-5"]
    await ledger.run("UPDATE gateway_beat SET at = now()")
    async with ledger.database.transaction() as connection:
        assert await recovery.release_overdue(connection, 30.0, 6.0) == {CHATS.round}
    assert [event.request_id for event in await waiting(ledger, CHATS)] == ["r-1", "r-2", "r-3", "r-4", "r-5"]


async def test_a_batch_that_somebody_else_marked_in_part_is_not_ours(ledger: Ledger) -> None:
    await append(ledger, an_event(1), an_event(2))
    both = await waiting(ledger)
    assert await mark(ledger, EventMark(both[0], EventState.ROUTED))
    assert not await mark(ledger, *(EventMark(event, EventState.IGNORED) for event in both))


async def test_rounds_with_events_that_have_waited_are_found(ledger: Ledger) -> None:
    await append(ledger, an_event(1), an_event(2), an_event(3, source=Side.BITRIX24, lane=CHATS))
    now = datetime.now(UTC)
    async with ledger.database.connection() as connection:
        assert set(await events.rounds_waiting(connection, now + timedelta(minutes=1), 10)) == {
            LANE.round,
            CHATS.round,
        }
        assert await events.rounds_waiting(connection, now - timedelta(minutes=1), 10) == []


async def test_an_unroutable_event_is_listed_without_its_words_and_replayed(ledger: Ledger) -> None:
    await append(ledger, an_event(1, body=b"what somebody wrote"), an_event(2))
    (first, _) = await waiting(ledger)
    await mark(ledger, EventMark(first, EventState.UNROUTABLE, "no channel has this number"))
    async with ledger.database.transaction() as connection:
        (shown,) = await events.listed(connection, EventState.UNROUTABLE, None, 10)
        assert (shown.id, shown.reason, shown.bytes) == (first.id, "no channel has this number", 19)
        assert b"somebody" not in repr(shown).encode()
        assert await events.listed(connection, EventState.UNROUTABLE, first.id, 10) == []
        assert await events.replay(connection, first.id) == LANE.round
        assert await events.replay(connection, first.id) is None  # it is new already
        assert await events.replay(connection, EventId(999)) is None
    assert first.id in {event.id for event in await waiting(ledger)}


async def test_what_came_for_a_number_before_it_was_connected_is_new_again(ledger: Ledger) -> None:
    nobody = {"state": EventState.UNROUTABLE, "reason": "no channel has this number"}
    longer = Lane(Queue.INCOMING, "2109876543210981.4")
    await append(ledger, an_event(1, **nobody), an_event(2, lane=longer, **nobody))
    async with ledger.database.transaction() as connection:
        assert await events.replay_number(connection, "210987654321098") == {LANE.round}
    assert [event.request_id for event in await waiting(ledger)] == ["r-1"]  # the longer number is in the same round


async def test_a_text_that_postgresql_refuses_leaves_the_rest_of_the_transaction_undone(ledger: Ledger) -> None:
    with pytest.raises(StoreRefused):
        await append(ledger, an_event(1), an_event(2, request_id="\x00"))
    assert await waiting(ledger) == []


# --- partitions ------------------------------------------------------------------------------------------------------


async def add_partition(ledger: Ledger, day: date) -> None:
    async with ledger.database.connection() as connection:
        await events.add_partition(connection, day)


async def partitions(ledger: Ledger) -> list[str]:
    async with ledger.database.connection() as connection:
        return await events.partitions(connection)


async def home_of(ledger: Ledger, number: int) -> str:
    return str(await ledger.value("SELECT tableoid::regclass::text FROM event WHERE request_id = $1", f"r-{number}"))


async def test_an_event_lies_in_its_days_partition(ledger: Ledger) -> None:
    await add_partition(ledger, TODAY)
    await add_partition(ledger, TODAY)  # it is there already
    await append(ledger, an_event(1))
    assert await home_of(ledger, 1) == f"event_{TODAY:%Y%m%d}"
    assert await partitions(ledger) == [f"event_{TODAY:%Y%m%d}"]


async def test_without_its_days_partition_an_event_is_kept_all_the_same(ledger: Ledger) -> None:
    await append(ledger, an_event(1))
    assert await home_of(ledger, 1) == "event_default"
    assert len(await waiting(ledger)) == 1


async def test_a_day_that_began_without_its_partition_holds_up_no_other_day(ledger: Ledger) -> None:
    await append(ledger, an_event(1))
    async with ledger.database.connection() as connection:
        asked: list[str] = []
        connection.add_query_logger(lambda query: asked.append(query.query))
        await events.add_partition(connection, TODAY)
        assert not any("CREATE" in query for query in asked)  # which would shut everybody out while all of it is read
    await add_partition(ledger, TOMORROW)
    assert f"event_{TOMORROW:%Y%m%d}" in await partitions(ledger)
    await append(ledger, an_event(2), an_event(1))
    assert [event.request_id for event in await waiting(ledger)] == ["r-1", "r-2"]


async def test_forgetting_drops_days_and_what_lay_outside_of_them(ledger: Ledger) -> None:
    old, kept = date(2026, 1, 1), date(2026, 1, 2)
    for day in (old, kept):
        await add_partition(ledger, day)
    await append(ledger, *(an_event(number) for number in range(4)))
    days = {0: old, 1: kept, 2: date(2025, 12, 31), 3: kept}
    for number, day in days.items():
        await ledger.run("UPDATE event SET received_on = $1 WHERE request_id = $2", day, f"r-{number}")
    assert await home_of(ledger, 2) == "event_default"
    async with ledger.database.connection() as connection:
        await events.forget(connection, before=kept)
    assert await partitions(ledger) == [f"event_{kept:%Y%m%d}"]
    assert [event.request_id for event in await waiting(ledger)] == ["r-1", "r-3"]


async def test_a_change_of_its_partitions_gives_way_to_whoever_uses_them(ledger: Ledger) -> None:
    """Nobody's events wait behind one that waits for a backup, or for a session that keeps its locks."""
    old = date(2026, 1, 1)
    await add_partition(ledger, old)
    async with ledger.database.transaction() as backup:
        await backup.fetchval("SELECT count(*) FROM event")
        changing = asyncio.create_task(_keep_partitions(ledger))
        async with asyncio.timeout(20):
            await append(ledger, an_event(1))
            await changing
        assert await partitions(ledger) == [f"event_{old:%Y%m%d}"]
    await _keep_partitions(ledger)
    assert await partitions(ledger) == [f"event_{TOMORROW:%Y%m%d}"]


async def _keep_partitions(ledger: Ledger) -> None:
    await add_partition(ledger, TOMORROW)
    async with ledger.database.connection() as connection:
        await events.forget(connection, before=TODAY)


# --- shares -----------------------------------------------------------------------------------------------------------

BACKLOG = 4_000


async def a_backlog_of(ledger: Ledger, lane: Lane, count: int) -> None:
    await ledger.run(
        "INSERT INTO event (source, name, key, lane, body, request_id, state) SELECT $1, 'x', "
        "decode(md5($2 || n::text), 'hex'), $2, '\\x7b7d', 'r', 'new' FROM generate_series(1, $3::int) n",
        "whatsapp" if lane.queue is Queue.INCOMING else "bitrix24",
        lane.name,
        count,
    )


def tenants(queue: Queue, count: int) -> list[Lane]:
    """Lanes of one round."""
    return [Lane(queue, f"{uuid4() if queue is Queue.OUTBOUND else 2109876543 + n}.3") for n in range(count)]


def counted(found: list[Event]) -> dict[str, int]:
    return dict(Counter(event.lane.name for event in found))


@pytest.mark.parametrize("queue", [Queue.INCOMING, Queue.OUTBOUND])
async def test_a_backlog_of_one_tenant_does_not_hold_up_the_others_of_its_round(ledger: Ledger, queue: Queue) -> None:
    busy, *others = tenants(queue, 5)
    await a_backlog_of(ledger, busy, BACKLOG)
    for number, lane in enumerate(others, 1):
        await a_backlog_of(ledger, lane, number)
    found = await waiting(ledger, busy, 100)
    assert counted(found) == {busy.name: 20} | {lane.name: number for number, lane in enumerate(others, 1)}
    assert [event.id for event in found] == sorted(event.id for event in found)


async def test_two_backlogs_share_a_batch_whoever_came_first(ledger: Ledger) -> None:
    one, other = tenants(Queue.INCOMING, 2)
    await a_backlog_of(ledger, one, BACKLOG)
    await a_backlog_of(ledger, other, BACKLOG)
    assert counted(await waiting(ledger, one, 100)) == {one.name: 50, other.name: 50}


async def test_a_tenant_that_waits_alone_has_the_whole_batch_and_its_oldest_first(ledger: Ledger) -> None:
    (one,) = tenants(Queue.INCOMING, 1)
    await a_backlog_of(ledger, one, BACKLOG)
    found = await waiting(ledger, one, 100)
    first = await ledger.value("SELECT min(id) FROM event")
    assert [event.id for event in found] == list(range(first, first + 100))


async def test_of_more_tenants_than_a_batch_holds_those_go_first_that_wait_longest(ledger: Ledger) -> None:
    many = tenants(Queue.INCOMING, 30)
    for lane in reversed(many):
        await a_backlog_of(ledger, lane, 3)
    assert counted(await waiting(ledger, many[0], 10)) == {lane.name: 1 for lane in many[20:]}


@pytest.mark.parametrize("queue", [Queue.INCOMING, Queue.OUTBOUND])
async def test_a_backlog_in_one_round_does_not_hold_up_the_others_that_are_looked_at_with_it(
    ledger: Ledger, queue: Queue
) -> None:
    busy, *others = [Lane(queue, f"{number}.{number % 4}") for number in range(5)]
    await a_backlog_of(ledger, busy, BACKLOG)
    for number, lane in enumerate(others, 1):
        await a_backlog_of(ledger, lane, number)
    async with ledger.database.connection() as connection:
        found = await events.waiting(connection, [busy, *others[:3]], 100)
        assert counted(found) == {busy.name: 20} | {lane.name: number for number, lane in enumerate(others, 1)}
        assert [event.id for event in found] == sorted(event.id for event in found)
        few = await events.waiting(connection, others[:2], 100)
    assert counted(few) == {others[0].name: 1, others[1].name: 2}, "of the rounds that were asked for"


async def test_what_is_behind_a_held_event_stays_there_in_a_backlog_too(ledger: Ledger) -> None:
    busy, other = tenants(Queue.OUTBOUND, 2)
    await a_backlog_of(ledger, busy, 50)
    held = await ledger.value("SELECT min(id) FROM event")
    chat = external_chat_id(ChannelId(uuid4()), ConversationId(uuid4())).encode()
    await ledger.run("UPDATE event SET body = $1, state = CASE WHEN id = $2 THEN 'held' ELSE 'new' END", chat, held)
    await a_backlog_of(ledger, other, 50)
    assert counted(await waiting(ledger, busy, 20)) == {other.name: 10}


async def test_a_share_costs_what_it_returns_however_long_the_backlog(ledger: Ledger) -> None:
    busy, *others = tenants(Queue.INCOMING, 10)
    await a_backlog_of(ledger, busy, BACKLOG)
    for lane in others:
        await a_backlog_of(ledger, lane, 2)
    rounds = ["0", "1", "2", "3"]
    looks: list[tuple[dict[Queue, str], tuple[object, ...]]] = [
        (events._WAITING_OF, ("whatsapp", rounds, 100)),
        (events._SHARES_OF, ("whatsapp", rounds, 100, 10)),
    ]
    few = [await blocks(ledger, sql[Queue.INCOMING], *values) for sql, values in looks]
    await a_backlog_of(ledger, Lane(Queue.INCOMING, "2109876999.3"), 5 * BACKLOG)
    many = [await blocks(ledger, sql[Queue.INCOMING], *values) for sql, values in looks]
    assert all(later < 2 * before for before, later in zip(few, many, strict=True))
