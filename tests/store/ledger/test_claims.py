"""Claims: one runner a message, the oldest of its conversation first, and nothing held but what has to be."""

import asyncio
import random
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from tests.store.ledger_rows import Ledger, ids, inbound, outbound, to_bitrix24, to_whatsapp
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import AttemptId
from zaptrix.core.limits import ROUNDS
from zaptrix.core.message.message import Direction, Notice, Origin
from zaptrix.core.portal import Channel
from zaptrix.store.ledger import awaited, claims, confirmations, expiry, files, lanes, settlements
from zaptrix.store.ledger.claims import ClaimedRow, Way
from zaptrix.store.ledger.lanes import Due

MIDDLE = UUID(int=1 << 127)


def soon(seconds: float = 60) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def prove(ledger: Ledger, way: Way, lease_s: float = 60, limit: int = 10) -> list[ClaimedRow]:
    async with ledger.database.transaction() as connection:
        return await claims.claim_to_prove(connection, way, AttemptId(uuid4()), limit=limit, lease_s=lease_s)


async def due(ledger: Ledger, message_id: int, at: datetime) -> None:
    await ledger.run("UPDATE message SET due_at = $1 WHERE id = $2", at, message_id)


async def test_only_the_oldest_open_message_of_a_conversation_is_claimed(ledger: Ledger) -> None:
    channel = await ledger.channel()
    first = await ledger.outbound(await ledger.talk(channel), 3)
    second = await ledger.outbound(await ledger.talk(channel), 2)
    assert ids(await ledger.claim(to_whatsapp(channel))) == [first[0], second[0]]
    assert await ledger.claim(to_whatsapp(channel)) == []


async def test_the_next_message_goes_when_the_one_before_is_gone(ledger: Ledger) -> None:
    channel = await ledger.channel()
    first, second, third = await ledger.outbound(await ledger.talk(channel), 3)
    for message_id, end in ((first, "sent"), (second, "dead"), (third, "sent")):
        (row,) = await ledger.claim(to_whatsapp(channel))
        assert ids([row]) == [message_id]
        assert await ledger.end(row, end)
    assert await ledger.claim(to_whatsapp(channel)) == []


@pytest.mark.parametrize("state", ["pending", "verifying"])
async def test_a_message_that_waits_holds_its_own_conversation_and_no_other(ledger: Ledger, state: str) -> None:
    channel = await ledger.channel()
    waiting, other = await ledger.talk(channel), await ledger.talk(channel)
    await ledger.outbound(waiting, 2)
    (row,) = await ledger.claim(to_whatsapp(channel))
    await ledger.end(row, state, due_at=soon())
    (free,) = await ledger.outbound(other)
    assert ids(await ledger.claim(to_whatsapp(channel))) == [free]
    assert await ledger.claim(to_whatsapp(channel)) == []


async def test_a_waiting_message_goes_when_it_is_due(ledger: Ledger) -> None:
    channel = await ledger.channel()
    (message_id,) = await ledger.outbound(await ledger.talk(channel))
    await due(ledger, message_id, soon(-1))
    assert ids(await ledger.claim(to_whatsapp(channel))) == [message_id]


async def test_both_directions_of_a_conversation_go_their_own_way(ledger: Ledger) -> None:
    channel = await ledger.channel()
    talk = await ledger.talk(channel)
    (asked,) = await ledger.inbound(talk)
    (answered,) = await ledger.outbound(talk)
    assert ids(await ledger.claim(to_bitrix24(channel.portal_id))) == [asked]
    assert ids(await ledger.claim(to_whatsapp(channel))) == [answered]


async def test_a_claim_carries_all_that_a_platform_needs(ledger: Ledger) -> None:
    portal = await ledger.portal()
    channel = await ledger.channel(portal)
    talk = await ledger.talk(channel, chat_id=5, bsuid="BR.1", wa_id="554188887777", phone="+5541988887777", name="Ana")
    new = outbound(talk, "oi, Ana", bitrix_chat_id=5, bitrix_message_id=77, request_id="r-9")
    (message_id,) = await ledger.write(new)
    (row,) = await ledger.claim(to_whatsapp(channel))
    claim = row.to_claim(channel, portal)
    assert (claim.message_id, claim.attempts, claim.request_id) == (message_id, 0, "r-9")
    assert claim.content == new.content
    assert claim.conversation == talk
    assert (claim.bitrix_chat_id, claim.bitrix_message_id, claim.whatsapp_id) == (5, 77, None)


async def test_a_claim_counts_those_attempts_that_had_no_clear_answer(ledger: Ledger) -> None:
    """After an outage's clear refusals the first call without an answer is not the fifth."""
    portal = await ledger.portal()
    channel = await ledger.channel(portal)
    (message_id,) = await ledger.outbound(await ledger.talk(channel))
    ended = [(1, "retry", "503"), (2, "verify", "timeout"), (2, "snooze", "not_found"), (3, "retry", "503"),
             (4, "verify", "timeout"), (4, "verify", "http_502"), (4, "snooze", "not_found")]  # fmt: skip
    for number, verdict, code in ended:
        told = "INSERT INTO attempt (message_id, number, verdict, code, detail) VALUES ($1, $2, $3, $4, '')"
        await ledger.run(told, message_id, number, verdict, code)
    for attempts, unclear in ((4, 2), (1, 1), (0, 0)):  # a revived message begins anew
        await ledger.run("UPDATE message SET attempts = $1, state = 'pending' WHERE id = $2", attempts, message_id)
        (row,) = await ledger.claim(to_whatsapp(channel))
        assert row.to_claim(channel, portal).unclear == unclear


async def test_a_notice_whose_proof_is_looked_for_knows_of_others_of_its_words(ledger: Ledger) -> None:
    portal = await ledger.portal()
    channel = await ledger.channel(portal)
    talk, way = await ledger.talk(channel, chat_id=5), to_bitrix24(portal.id)
    codes = ["131047", "131047", "131026", "131047"]
    for code in codes:
        notice = Notice("window_closed", {"code": code})
        await ledger.write(inbound(talk, origin=Origin.GATEWAY, content=notice, whatsapp_id=None))
    for code, earlier in zip(codes, [0, 1, 0, 2], strict=True):
        (row,) = await ledger.claim(way)
        await ledger.end(row, "verifying", due_at=soon(-1))
        (row,) = await prove(ledger, way)
        claim = row.to_claim(channel, portal)
        assert (claim.content, claim.twins) == (Notice("window_closed", {"code": code}), earlier)
        await ledger.end(row, "sent")


async def test_the_circle_misses_nobody_wherever_it_begins(ledger: Ledger) -> None:
    channel = await ledger.channel()
    messages = {(await ledger.outbound(await ledger.talk(channel)))[0] for _ in range(30)}
    claimed: list[int] = []
    while rows := await ledger.claim(to_whatsapp(channel), limit=4, after=uuid4()):
        claimed += ids(rows)
    assert sorted(claimed) == sorted(messages)


async def test_a_long_conversation_takes_no_turn_from_the_others(ledger: Ledger) -> None:
    channel = await ledger.channel()
    busy = await ledger.talk(channel)
    await ledger.outbound(busy, 50)
    quiet = [(await ledger.outbound(await ledger.talk(channel)))[0] for _ in range(4)]
    claimed = set(ids(await ledger.claim(to_whatsapp(channel), limit=5)))
    assert set(quiet) < claimed


HOLDS = [
    ("UPDATE channel SET whatsapp_paused_at = now() WHERE id = $1", Direction.OUTBOUND),
    ("UPDATE channel SET line_paused_at = now() WHERE id = $1", Direction.INBOUND),
    (
        "UPDATE portal_config SET paused_at = now() WHERE id = (SELECT portal_id FROM channel WHERE id = $1)",
        Direction.INBOUND,
    ),
]


@pytest.mark.parametrize(("pause", "held"), HOLDS, ids=["number", "line", "portal"])
async def test_a_pause_holds_the_side_whose_key_is_bad_and_lets_the_other_go(
    ledger: Ledger, pause: str, held: Direction
) -> None:
    portal = await ledger.portal()
    channel, neighbour = await ledger.channel(portal), await ledger.channel(portal)
    talk, others = await ledger.talk(channel), await ledger.talk(neighbour)
    for each in (talk, others):
        await ledger.write(outbound(each), inbound(each))
    await ledger.run(pause, channel.id)
    sent = await ledger.claim(to_whatsapp(channel))
    shown = await ledger.claim(to_bitrix24(portal.id))
    assert (sent == []) == (held is Direction.OUTBOUND)
    shown_here = [row for row in shown if row.channel_id == channel.id]
    assert (shown_here == []) == (held is Direction.INBOUND)
    if "portal_config" not in pause:
        assert [row for row in shown if row.channel_id == neighbour.id]
    assert await ledger.claim(to_whatsapp(neighbour))


@pytest.mark.parametrize(("pause", "held"), HOLDS, ids=["number", "line", "portal"])
async def test_a_pause_holds_the_search_for_proof_too(ledger: Ledger, pause: str, held: Direction) -> None:
    channel = await ledger.channel()
    talk = await ledger.talk(channel)
    way = to_whatsapp(channel) if held is Direction.OUTBOUND else to_bitrix24(channel.portal_id)
    await ledger.write(outbound(talk) if held is Direction.OUTBOUND else inbound(talk))
    await ledger.run("UPDATE message SET state = 'verifying'")
    await ledger.run(pause, channel.id)
    assert await prove(ledger, way) == []


async def test_what_waits_for_its_proof_is_claimed_for_nothing_else(ledger: Ledger) -> None:
    channel = await ledger.channel()
    (message_id,) = await ledger.outbound(await ledger.talk(channel))
    (sent,) = await ledger.claim(to_whatsapp(channel))
    await ledger.end(sent, "verifying", due_at=soon(-1), costs_an_attempt=True)
    assert await ledger.claim(to_whatsapp(channel)) == []
    (row,) = await prove(ledger, to_whatsapp(channel))
    assert ids([row]) == [message_id]
    assert await prove(ledger, to_whatsapp(channel)) == []  # one search at a time
    await ledger.end(row, "pending", due_at=datetime.now(UTC) - timedelta(seconds=1))
    assert ids(await ledger.claim(to_whatsapp(channel))) == [message_id]


async def test_a_search_whose_runner_died_is_taken_up_again(ledger: Ledger) -> None:
    channel = await ledger.channel()
    await ledger.outbound(await ledger.talk(channel))
    await ledger.run("UPDATE message SET state = 'verifying'")
    assert await prove(ledger, to_whatsapp(channel), lease_s=-1)
    assert await prove(ledger, to_whatsapp(channel))


async def test_many_claimers_at_once_never_hold_the_same_message_nor_two_of_one_conversation(ledger: Ledger) -> None:
    channel = await ledger.channel()
    talks = [await ledger.talk(channel) for _ in range(25)]
    await ledger.write(*(outbound(talk, str(n)) for n in range(8) for talk in talks))
    held: Counter[UUID] = Counter()
    order: defaultdict[UUID, list[int]] = defaultdict(list)
    rolls = random.Random(7)

    async def runner() -> None:
        idle = 0
        while idle < 3:
            rows = await ledger.claim(
                to_whatsapp(channel), limit=rolls.randint(1, 9), after=UUID(int=rolls.getrandbits(128))
            )
            idle = 0 if rows else idle + 1
            for row in rows:
                held[row.fields["conversation_id"]] += 1
                assert held[row.fields["conversation_id"]] == 1
                order[row.fields["conversation_id"]].append(row.fields["id"])
            await asyncio.sleep(0)
            for row in rows:
                held[row.fields["conversation_id"]] -= 1
                again = rolls.random() < 0.2
                if again:
                    order[row.fields["conversation_id"]].pop()
                assert await ledger.end(row, "pending" if again else "sent", due_at=soon(-1))
            if not rows:
                await asyncio.sleep(0.01)

    await asyncio.gather(*(runner() for _ in range(8)))
    while rows := await ledger.claim(to_whatsapp(channel), limit=100):
        for row in rows:
            order[row.fields["conversation_id"]].append(row.fields["id"])
            await ledger.end(row, "sent")
    assert set(await ledger.states()) == {"sent"}
    for talk in talks:
        assert order[talk.id] == sorted(order[talk.id])
        assert len(order[talk.id]) == 8


# --- the shape of a long backlog -------------------------------------------------------------------------------------


async def a_backlog(ledger: Ledger, channel: Channel, conversations: int, messages: int) -> None:
    """Conversations with messages to send, written by PostgreSQL itself."""
    await ledger.run(
        "INSERT INTO conversation_mapping (portal_id, channel_id, meta_whatsapp_id, wa_id)"
        " SELECT $1, $2, n::text, n::text FROM generate_series(1, $3::int) n",
        channel.portal_id,
        channel.id,
        conversations,
    )
    await ledger.run(
        "INSERT INTO message (portal_id, channel_id, conversation_id, lane_id, direction, kind, origin, content,"
        " request_id, written_at) SELECT c.portal_id, c.channel_id, c.id, c.channel_id, 'outbound', 'text', 'operator',"
        ' \'{"type":"text","text":{}}\', \'r\', now() FROM generate_series(1, $1::int) n, conversation_mapping c',
        messages,
    )


@pytest.mark.parametrize("analyzed", [True, False])
async def test_a_claim_never_reads_the_whole_ledger(ledger: Ledger, analyzed: bool) -> None:
    channel = await ledger.channel()
    await a_backlog(ledger, channel, conversations=5_000, messages=4)
    await ledger.run(
        "INSERT INTO confirmation (message_id, direction, owner_id, due_at)"
        " SELECT id, 'inbound', channel_id, now() FROM message"
    )
    if analyzed:
        await ledger.run("ANALYZE message, confirmation")
    statements: dict[str, tuple[str, list[Any]]] = {
        "claim": (claims._TO_SEND[Direction.OUTBOUND], [[channel.id], [uuid4()], [10], MIDDLE]),
        "prove": (claims._TO_PROVE[Direction.OUTBOUND], [channel.id, uuid4(), 10, 60.0]),
        "due": (lanes._DUE, ["outbound", 3, "inbound"]),
        "confirm": (confirmations._TO_CONFIRM[Direction.INBOUND], [3, 10, 60.0, 60.0, 1.0]),
        "confirm back": (confirmations._TO_CONFIRM[Direction.OUTBOUND], [3, 10, 60.0, 60.0, 1.0]),
        "confirmed": (confirmations._END, [[1], [None], [0], 5]),
        "late": (confirmations._LATE, [5.0, list(Direction), ROUNDS]),
        "taken over": (confirmations._TAKE_OVER, [5.0, 100]),
        "settle": (
            settlements._SETTLE_OF[Direction.INBOUND],
            [[1], [uuid4()], ["sent"], [0], [None], [None], [None], [None], [0.0], [uuid4()]],
        ),
        "awaited": (awaited._AWAIT_NOW, [[1]]),
        "expire": (expiry._EXPIRE_LATE, [60.0, 5.0, 60.0]),
        "take over": (expiry._EXPIRE_ENDED, [[bytes(8)], 5.0, 60.0]),
        "free proofs": (expiry._FREE_PROOFS, [[bytes(8)]]),
        "free files": (expiry._FREE_FILES, [[bytes(8)]]),
    }
    for name, (sql, values) in statements.items():
        plan = await _plan(ledger, sql, values)
        assert not re.search("Seq Scan on (message|confirmation)", plan), f"{name}:\n{plan}"


async def _plan(ledger: Ledger, sql: str, values: list[Any]) -> str:
    async with ledger.database.connection() as connection:
        # As the pool runs it after five times: without looking at the values.
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        rows = await connection.fetch(f"EXPLAIN {sql}", *values)
    return "\n".join(row[0] for row in rows)


async def test_who_claims_at_the_same_moment_shares_a_statement_and_gets_what_is_theirs(ledger: Ledger) -> None:
    one, other, idle = [await ledger.channel() for _ in range(3)]
    for channel, talks in ((one, 3), (other, 1)):
        for _ in range(talks):
            await ledger.outbound(await ledger.talk(channel), 2)
    asks = [claims.Ask(channel.id, AttemptId(uuid4()), 2) for channel in (idle, one, other)]
    async with ledger.database.connection() as connection:
        nothing, two, single = await claims.claim_to_send(connection, Direction.OUTBOUND, asks, after=MIDDLE)
    assert nothing == []
    assert {(row.channel_id, row.fields["attempt_id"]) for row in two} == {(one.id, asks[1].attempt_id)}
    assert len({row.fields["conversation_id"] for row in two}) == 2
    assert [(row.channel_id, row.fields["attempt_id"]) for row in single] == [(other.id, asks[2].attempt_id)]


async def test_of_two_who_claim_for_the_same_channel_at_once_one_gets_each_message(ledger: Ledger) -> None:
    channel = await ledger.channel()
    for _ in range(3):
        await ledger.outbound(await ledger.talk(channel), 2)
    asks = [claims.Ask(channel.id, AttemptId(uuid4()), 10) for _ in range(2)]
    async with ledger.database.connection() as connection:
        mine, theirs = await claims.claim_to_send(connection, Direction.OUTBOUND, asks, after=MIDDLE)
    assert len({row.fields["id"] for row in (*mine, *theirs)}) == len(mine) + len(theirs) == 3
    assert all(row.fields["attempt_id"] == asks[0].attempt_id for row in mine)
    assert all(row.fields["attempt_id"] == asks[1].attempt_id for row in theirs)


async def test_a_claim_touches_about_as_much_as_it_returns(ledger: Ledger) -> None:
    """Even when PostgreSQL counted the ledger in a quiet hour, and takes it that next to nothing is pending."""
    channel = await ledger.channel()
    await ledger.run("ALTER TABLE message SET (autovacuum_enabled = off)")
    await a_backlog(ledger, channel, conversations=2_000, messages=4)
    await ledger.run("UPDATE message SET state = 'sent'")
    await ledger.run("VACUUM ANALYZE message")
    await ledger.run("UPDATE message SET state = 'pending'")
    async with ledger.database.transaction() as connection:
        plan = await connection.fetch(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {claims._TO_SEND[Direction.OUTBOUND]}",
            [channel.id], [uuid4()], [10], MIDDLE,
        )  # fmt: skip
    # As a join the second look took 20,000 rows, each picked one held against the whole backlog.
    assert max(_rows_by_node(plan[0][0])) <= 50


def _rows_by_node(plan: str) -> list[float]:
    def rows(node: dict[str, Any]) -> list[float]:
        touched = node["Actual Rows"] + node.get("Rows Removed by Join Filter", 0)
        own = [touched * node["Actual Loops"]]
        return own + [count for child in node.get("Plans", []) for count in rows(child)]

    return rows(msgspec.json.decode(plan)[0]["Plan"])


# --- what wakes a lane ------------------------------------------------------------------------------------------------


async def glance(ledger: Ledger, channel: Channel) -> list[Due]:
    async with ledger.database.connection() as connection:
        return await lanes.due(connection, Direction.OUTBOUND, channel.id.int % ROUNDS)


def work(channel: Channel | None, *, due: bool, to_prove: bool = False, next_at: datetime | None = None) -> Due:
    return Due(id=channel.id if channel else None, due=due, to_prove=to_prove, next_at=next_at)


async def test_a_glance_tells_what_is_due_and_when_the_next_thing_will_be(ledger: Ledger) -> None:
    channel = await ledger.channel()
    assert await glance(ledger, channel) == []
    talk, other = await ledger.talk(channel), await ledger.talk(channel)
    (first,), (second,) = await ledger.outbound(talk), await ledger.outbound(other)
    assert await glance(ledger, channel) == [work(channel, due=True)]
    early, late = soon(60), soon(120)
    await due(ledger, first, late)
    assert await glance(ledger, channel) == [work(channel, due=True, next_at=late)]
    await due(ledger, second, early)
    assert await glance(ledger, channel) == [work(channel, due=False, next_at=early)]


async def test_a_glance_tells_of_everybody_in_the_round_and_of_nobody_else(ledger: Ledger) -> None:
    channels = [await ledger.channel() for _ in range(40)]
    for channel in channels:
        await ledger.outbound(await ledger.talk(channel), 2)
        await ledger.inbound(await ledger.talk(channel))
    for channel in channels[:8]:
        mine = {other.id for other in channels if other.id.int % ROUNDS == channel.id.int % ROUNDS}
        assert {each.id for each in await glance(ledger, channel)} == mine


async def test_a_glance_tells_what_is_to_be_proven(ledger: Ledger) -> None:
    channel = await ledger.channel()
    (message_id,) = await ledger.outbound(await ledger.talk(channel))
    await ledger.run("UPDATE message SET state = 'verifying'")
    assert await glance(ledger, channel) == [work(channel, due=True, to_prove=True)]
    at = soon(60)
    await due(ledger, message_id, at)
    assert await glance(ledger, channel) == [work(channel, due=False, next_at=at)]


async def test_a_confirmation_wakes_the_round_of_the_side_that_is_told(ledger: Ledger) -> None:
    channel = await ledger.channel()
    made = await ledger.inbound(await ledger.talk(channel))
    at = soon(30)
    await ledger.run("UPDATE message SET state = 'sent'")
    await ledger.confirm_in(made, 0)
    await ledger.run("UPDATE confirmation SET due_at = $1", at)
    assert await glance(ledger, channel) == [work(None, due=False, next_at=at)]
    await ledger.run("UPDATE confirmation SET due_at = now()")
    assert await glance(ledger, channel) == [work(None, due=True)]


async def test_lanes_whose_bell_was_lost_are_found(ledger: Ledger) -> None:
    channel, quiet = await ledger.channel(), await ledger.channel()
    talk = await ledger.talk(channel)
    await ledger.write(outbound(talk), inbound(talk))
    (waiting,) = await ledger.outbound(await ledger.talk(quiet))
    await due(ledger, waiting, soon())
    async with ledger.database.connection() as connection:
        found = await claims.lanes_due(connection, -1.0, 10)
        assert set(found) == {to_whatsapp(channel), to_bitrix24(channel.portal_id)}
        assert await claims.lanes_due(connection, 60.0, 10) == []
        assert len(await claims.lanes_due(connection, -1.0, 1)) == 1


async def a_talk(ledger: Ledger) -> tuple[Channel, Conversation]:
    channel = await ledger.channel()
    return channel, await ledger.talk(channel)


async def test_a_message_whose_runner_died_is_verified_after_its_sides_wait(ledger: Ledger) -> None:
    channel, talk = await a_talk(ledger)
    (asked,) = await ledger.inbound(talk)
    (answered,) = await ledger.outbound(talk)
    await ledger.claim(to_whatsapp(channel))
    await ledger.claim(to_bitrix24(channel.portal_id))
    async with ledger.database.transaction() as connection:
        assert await expiry.expire(connection, 60.0, 5.0, 60.0) == []  # they may still come back
        ways = await expiry.expire(connection, -1.0, 5.0, 60.0)
        now = await connection.fetchval("SELECT now()")
    assert set(ways) == {to_whatsapp(channel), to_bitrix24(channel.portal_id)}
    shown, sent = await ledger.row(asked), await ledger.row(answered)
    for row, wait_s in ((shown, 5), (sent, 60)):
        assert (row["state"], row["attempts"], row["error_code"]) == ("verifying", 1, "runner_died")
        assert row["due_at"] == now + timedelta(seconds=wait_s)


async def test_a_runner_that_settles_right_now_is_not_taken_for_dead(ledger: Ledger) -> None:
    channel, talk = await a_talk(ledger)
    (message_id,) = await ledger.outbound(talk)
    (row,) = await ledger.claim(to_whatsapp(channel))
    async with ledger.database.transaction() as settling:
        await settling.execute("UPDATE message SET state = 'sent', attempt_id = NULL WHERE id = $1", message_id)
        async with ledger.database.transaction() as sweeping:
            await sweeping.execute("SET LOCAL lock_timeout = '2s'")
            assert await expiry.expire(sweeping, -1.0, 5.0, 60.0) == []
    assert await ledger.state(message_id) == "sent"
    assert not await ledger.end(row, "pending")


async def test_what_waited_for_a_repair_is_due_at_once(ledger: Ledger) -> None:
    channel, other = await ledger.channel(), await ledger.channel()
    await ledger.outbound(await ledger.talk(channel))
    await ledger.outbound(await ledger.talk(other))
    await ledger.run("UPDATE message SET due_at = now() + interval '1 hour'")
    async with ledger.database.transaction() as connection:
        await claims.hasten(connection, channel.id)
    assert len(await ledger.claim(to_whatsapp(channel))) == 1
    assert await ledger.claim(to_whatsapp(other)) == []


@pytest.mark.parametrize("repaired", ["number", "portal"])
async def test_a_file_that_waited_for_a_key_is_due_when_that_is_repaired(ledger: Ledger, repaired: str) -> None:
    channel, other = await ledger.channel(), await ledger.channel()
    for each in (channel, other):
        talk = await ledger.talk(each)
        (message_id,) = await ledger.outbound(talk)
        await ledger.run(
            "INSERT INTO file (message_id, portal_id, channel_id, direction, due_at)"
            " VALUES ($1, $2, $3, 'outbound', now() + interval '1 minute')",
            message_id, talk.portal_id, talk.channel_id,
        )  # fmt: skip
    async with ledger.database.transaction() as connection:
        if repaired == "number":
            await claims.hasten(connection, channel.id, channel.portal_id)
        else:
            await claims.hasten(connection, channel.portal_id)
    due = await ledger.rows("SELECT channel_id FROM file WHERE due_at <= now()")
    assert [row["channel_id"] for row in due] == [channel.id]


@pytest.mark.parametrize(
    "pausing",
    ["UPDATE channel SET whatsapp_paused_at = now()", "UPDATE portal_config SET paused_at = now()", None],
    ids=["number", "portal", "nobody"],
)
async def test_a_file_learns_from_the_ledger_itself_whether_its_key_is_known_to_be_bad(
    ledger: Ledger, pausing: str | None
) -> None:
    """A process's own knowledge may be seconds old: in the seconds after a repair it would wait for a minute."""
    channel = await ledger.channel()
    if pausing:
        await ledger.run(pausing)
    async with ledger.database.transaction() as connection:
        assert await files.is_paused(connection, channel.id) is bool(pausing)
