"""Messages that are on their way from the moment in which they are written: only where nothing stands before them."""

import asyncio
from contextlib import suppress
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tests.store.ledger.test_quiet_statistics import BLOCKS_A_ROW, blocks
from tests.store.ledger_rows import WRITTEN_AT, Ledger, inbound, outbound
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import AttemptId
from zaptrix.core.message.message import Direction
from zaptrix.store.ledger import messages
from zaptrix.store.ledger.claims import Way
from zaptrix.store.ledger.messages import NewMessage, WrittenMessage
from zaptrix.store.people import conversations


def claimed(row: NewMessage) -> NewMessage:
    return replace(row, attempt_id=AttemptId(uuid4()))


async def write(ledger: Ledger, *rows: NewMessage) -> list[WrittenMessage]:
    async with ledger.database.transaction() as connection:
        await conversations.touch(connection, [row.conversation.id for row in rows])
        return await messages.write(connection, rows)


@pytest.fixture
async def talk(ledger: Ledger) -> Conversation:
    return await ledger.talk(await ledger.channel())


async def test_the_first_of_an_idle_conversation_is_claimed_as_it_is_written(
    ledger: Ledger, talk: Conversation
) -> None:
    other = await ledger.talk(await ledger.channel())
    rows = [claimed(outbound(talk)), claimed(outbound(talk)), outbound(other), claimed(outbound(other))]
    written = await write(ledger, *rows)
    assert [one.attempt_id for one in written] == [rows[0].attempt_id, None, None, None]
    assert [(one.lane_id, one.conversation_id) for one in written[:2]] == [(talk.channel_id, talk.id)] * 2
    row = await ledger.row(written[0].id)
    assert (row["state"], row["attempt_id"], row["claimed_at"]) == ("sending", rows[0].attempt_id, row["created_at"])
    assert await ledger.states() == ["sending", "pending", "pending", "pending"]
    # The other way is another lane.
    (back,) = await write(ledger, claimed(inbound(talk)))
    assert back.attempt_id is not None


async def test_what_is_open_goes_first(ledger: Ledger, talk: Conversation) -> None:
    await ledger.outbound(talk)
    for state in ("pending", "sending", "verifying"):
        await ledger.run("UPDATE message SET state = $1", state)
        assert [one.attempt_id for one in await write(ledger, claimed(outbound(talk)))] == [None], state
    for state in ("sent", "delivered", "read", "dead", "dismissed"):
        await ledger.run("UPDATE message SET state = $1", state)
        (after,) = await write(ledger, claimed(outbound(talk)))
        assert after.attempt_id is not None, state


HOLDS = {
    "the portal": ("UPDATE portal_config SET paused_at = now() WHERE id = $1", "inbound"),
    "the line": ("UPDATE channel SET line_paused_at = now() WHERE id = $1", "inbound"),
    "the number": ("UPDATE channel SET whatsapp_paused_at = now() WHERE id = $1", "outbound"),
    "its back-off": (
        "INSERT INTO backoff SELECT lane_id, now() + interval '1 hour' FROM message WHERE channel_id = $1",
        "both",
    ),
}


async def test_what_is_held_or_left_alone_waits(ledger: Ledger) -> None:
    for why, (sql, direction) in HOLDS.items():
        talk = await ledger.talk(await ledger.channel())
        await write(ledger, inbound(talk), outbound(talk))
        await ledger.run("UPDATE message SET state = 'sent'")
        await ledger.run(sql, talk.portal_id if "portal_config" in sql else talk.channel_id)
        rows = [claimed(inbound(talk)), claimed(outbound(talk))]
        written = await write(ledger, *rows)
        goes = {row.direction.value for row, one in zip(rows, written, strict=True) if one.attempt_id}
        assert goes == {"inbound": {"outbound"}, "outbound": {"inbound"}, "both": set()}[direction], why


async def test_a_back_off_that_is_over_holds_nobody(ledger: Ledger, talk: Conversation) -> None:
    await ledger.run("INSERT INTO backoff VALUES ($1, now() - interval '1 second')", talk.channel_id)
    (one,) = await write(ledger, claimed(outbound(talk)))
    assert one.attempt_id is not None


async def test_what_may_have_been_sent_before_a_restore_is_looked_for_first(ledger: Ledger, talk: Conversation) -> None:
    await ledger.run("INSERT INTO restore (dumped_at, until) VALUES (now(), now())")
    (one,) = await write(ledger, claimed(outbound(talk, written_at=WRITTEN_AT)))
    assert one.attempt_id is None
    row = await ledger.row(one.id)
    assert (row["state"], row["attempt_id"], row["claimed_at"]) == ("verifying", None, None)


async def test_one_that_the_ledger_has_is_left_as_it_is_and_claims_nothing(ledger: Ledger, talk: Conversation) -> None:
    await write(ledger, inbound(talk, whatsapp_id="wamid.1"))
    await ledger.run("UPDATE message SET state = 'sent'")
    again, behind = claimed(inbound(talk, whatsapp_id="wamid.1")), claimed(inbound(talk, whatsapp_id="wamid.2"))
    (one,) = await write(ledger, again, behind)
    assert one.attempt_id is None, "it is not the first of its conversation in this batch"
    assert await ledger.states() == ["sent", "pending"]


async def test_of_two_who_write_into_a_conversation_at_once_one_claims(ledger: Ledger, talk: Conversation) -> None:
    """The second waits for the first one's commit, and sees what it wrote."""
    async with ledger.database.transaction() as connection:
        await conversations.touch(connection, [talk.id])
        second = asyncio.create_task(write(ledger, claimed(outbound(talk))))
        (first,) = await messages.write(connection, [claimed(outbound(talk))])
        await _waits_for_a_lock(ledger)
    (other,) = await second
    assert first.attempt_id is not None
    assert other.attempt_id is None
    assert first.id < other.id
    assert await ledger.claim(Way(Direction.OUTBOUND, talk.channel_id)) == []


async def test_who_gives_way_leaves_the_place_to_the_other(ledger: Ledger, talk: Conversation) -> None:
    with suppress(ZeroDivisionError):
        async with ledger.database.transaction() as connection:
            await conversations.touch(connection, [talk.id])
            second = asyncio.create_task(write(ledger, claimed(outbound(talk))))
            await messages.write(connection, [claimed(outbound(talk))])
            await _waits_for_a_lock(ledger)
            raise ZeroDivisionError
    (other,) = await second
    assert other.attempt_id is not None
    assert await ledger.states() == ["sending"]


async def test_what_nobody_took_is_given_back(ledger: Ledger, talk: Conversation) -> None:
    rows = [claimed(outbound(talk)), claimed(inbound(talk))]
    await write(ledger, *rows)
    await ledger.run("UPDATE message SET state = 'sent' WHERE direction = 'inbound'")
    attempts = [row.attempt_id for row in rows if row.attempt_id]
    async with ledger.database.connection() as connection:
        moved = await messages.give_back(connection, attempts)
    assert [one.lane_id for one in moved] == [talk.channel_id]
    assert await ledger.states() == ["pending", "sent"]


async def test_a_claimed_insert_costs_the_same_however_much_is_open(ledger: Ledger) -> None:
    channel = await ledger.channel()
    talks = [await ledger.talk(channel) for _ in range(20)]
    await ledger.run("ANALYZE message")
    for talk in talks[:5]:
        await ledger.outbound(talk, 400)
    rows = [claimed(outbound(talk)) for talk in talks[5:]]
    found = await blocks(ledger, messages._INSERT, *messages._values(rows))
    assert found <= len(rows) * BLOCKS_A_ROW


async def _waits_for_a_lock(ledger: Ledger) -> None:
    async with asyncio.timeout(30):
        while not await ledger.value("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"):
            await asyncio.sleep(0.01)
