"""Conversations: one customer on one channel, whatever webhooks tell in whatever order. Every number is invented."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.store.ledger_rows import Ledger
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.store.connection.database import StoreRefused
from zaptrix.store.people import conversations
from zaptrix.store.people.conversations import Heard, Placed

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA, BIA = "BR.1001", "BR.2002"
NUMBER, PHONE = "554188887777", "+5541988887777"


async def known(ledger: Ledger, channel: Any, *customers: Customer) -> list[Conversation]:
    async with ledger.database.connection() as connection:
        return await conversations.known(connection, [(channel.id, each) for each in customers])


async def hear(ledger: Ledger, talk: Conversation, at: datetime = NOON, **customer: str) -> None:
    heard = Heard(
        id=talk.id,
        customer=Customer(**customer),
        last_written_at=at,
        window_expires_at=at + timedelta(hours=24),
    )
    async with ledger.database.transaction() as connection:
        await conversations.hear(connection, [heard])


async def place(ledger: Ledger, *placed: Placed) -> None:
    async with ledger.database.transaction() as connection:
        await conversations.place(connection, placed)


async def read(ledger: Ledger, talk: Conversation) -> Conversation:
    async with ledger.database.connection() as connection:
        return (await conversations.by_ids(connection, [talk.id]))[talk.id]


async def mapping(ledger: Ledger, talk: Conversation) -> dict[str, Any]:
    return (await ledger.rows("SELECT * FROM conversation_mapping WHERE id = $1", talk.id))[0]


async def test_a_customer_is_known_by_any_of_their_ids_and_on_their_channel_only(ledger: Ledger) -> None:
    portal = await ledger.portal()
    channel, other = await ledger.channel(portal), await ledger.channel(portal)
    by_user = await ledger.talk(channel, bsuid=ANA)
    by_number = await ledger.talk(channel, wa_id=NUMBER)
    by_phone = await ledger.talk(channel, phone="+12025550143")
    await ledger.talk(channel, bsuid=BIA)
    await ledger.talk(other, bsuid=ANA, wa_id=NUMBER)
    asked = (Customer(bsuid=ANA), Customer(wa_id=NUMBER), Customer(phone="+12025550143"))
    found = {talk.id for talk in await known(ledger, channel, *asked)}
    assert found == {by_user.id, by_number.id, by_phone.id}


async def test_a_conversation_begins_under_its_strongest_public_name(ledger: Ledger) -> None:
    channel = await ledger.channel()
    named: list[dict[str, Any]] = [{"bsuid": ANA, "wa_id": NUMBER}, {"bsuid": BIA}, {"phone": "+12025550143"}]
    talks = [await ledger.talk(channel, **customer) for customer in named]
    names = [(await mapping(ledger, talk))["meta_whatsapp_id"] for talk in talks]
    assert names == [NUMBER, BIA, "+12025550143"]


async def test_a_customer_has_one_conversation_on_a_channel(ledger: Ledger) -> None:
    channel = await ledger.channel()
    await ledger.talk(channel, wa_id=NUMBER)
    with pytest.raises(StoreRefused):
        await ledger.talk(channel, wa_id=NUMBER)


async def test_a_name_longer_than_its_column_is_cut_and_no_reason_to_refuse(ledger: Ledger) -> None:
    channel = await ledger.channel()
    talk = await ledger.talk(channel, wa_id=NUMBER, name="ã" * 300)
    await hear(ledger, talk, name="é" * 300)
    assert (await read(ledger, talk)).customer.name == "é" * 255


async def test_a_recycled_number_goes_to_its_new_owner_and_both_keep_their_conversation(ledger: Ledger) -> None:
    channel = await ledger.channel()
    old = await ledger.talk(channel, bsuid=ANA, wa_id=NUMBER, phone=PHONE)
    async with ledger.database.transaction() as connection:
        await conversations.detach_numbers(connection, [old.id])
    new = await ledger.talk(channel, bsuid=BIA, wa_id=NUMBER, phone=PHONE)
    assert (await read(ledger, old)).customer == Customer(bsuid=ANA)
    assert [talk.id for talk in await known(ledger, channel, Customer(wa_id=NUMBER, phone=PHONE))] == [new.id]


async def test_a_conversation_that_has_nothing_but_its_number_keeps_it(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel(), wa_id=NUMBER)
    async with ledger.database.transaction() as connection:
        await conversations.detach_numbers(connection, [talk.id])
    assert (await read(ledger, talk)).customer.wa_id == NUMBER


async def test_neither_the_window_nor_the_last_time_moves_back(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel(), wa_id=NUMBER)
    later = datetime.now(UTC) + timedelta(minutes=2)
    await hear(ledger, talk, later)
    await hear(ledger, talk, later - timedelta(days=6))
    row = await mapping(ledger, talk)
    assert row["window_expires_at"] == later + timedelta(hours=24)
    assert row["last_message_at"] == later


async def test_what_is_said_within_a_minute_makes_no_new_entry_in_any_index(ledger: Ledger) -> None:
    """A HOT update: the row's new version stays in its page, which has room for it."""
    talk = await ledger.talk(await ledger.channel(), wa_id=NUMBER)
    at = datetime.now(UTC) + timedelta(hours=1)
    await hear(ledger, talk, at)
    async with ledger.database.transaction() as connection:
        for seconds in (20, 40):
            written = at + timedelta(seconds=seconds)
            heard = Heard(id=talk.id, customer=Customer(), last_written_at=written, window_expires_at=written)
            await conversations.hear(connection, [heard])
        await conversations.touch(connection, [talk.id])
        hot = await connection.fetchval("SELECT pg_stat_get_xact_tuples_hot_updated('conversation_mapping'::regclass)")
        assert hot == 3
    assert (await mapping(ledger, talk))["last_message_at"] == at
    await hear(ledger, talk, at + timedelta(seconds=61))
    assert (await mapping(ledger, talk))["last_message_at"] == at + timedelta(seconds=61)


async def test_what_a_webhook_leaves_out_is_not_forgotten(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel(), bsuid=ANA, wa_id=NUMBER, phone=PHONE, name="Ana", username="ana")
    await hear(ledger, talk, bsuid=ANA)
    assert (await read(ledger, talk)).customer == talk.customer


async def test_what_a_webhook_tells_anew_is_kept(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel(), wa_id=NUMBER, name="Ana")
    await hear(ledger, talk, bsuid=ANA, wa_id="12025550143", phone="+12025550143", name="Ana Lima", username="ana")
    row = await mapping(ledger, talk)
    assert (row["bsuid"], row["wa_id"], row["phone"]) == (ANA, "12025550143", "+12025550143")
    assert (row["contact_name"], row["username"], row["meta_whatsapp_id"]) == ("Ana Lima", "ana", "12025550143")


async def test_a_number_that_stands_in_two_conversations_stops_neither(ledger: Ledger) -> None:
    """A customer wrote with a hidden number, after an older conversation had begun under that very number."""
    channel = await ledger.channel()
    old = await ledger.talk(channel, wa_id=NUMBER)
    hidden = await ledger.talk(channel, bsuid=ANA)
    await hear(ledger, hidden, bsuid=ANA, wa_id=NUMBER, phone=PHONE)
    assert (await read(ledger, hidden)).customer == Customer(bsuid=ANA, wa_id=NUMBER, phone=PHONE)
    assert (await mapping(ledger, hidden))["meta_whatsapp_id"] == ANA
    assert (await mapping(ledger, old))["meta_whatsapp_id"] == NUMBER


async def test_a_platform_tells_a_conversations_place_bit_by_bit(ledger: Ledger) -> None:
    talk = await ledger.talk(await ledger.channel(), bsuid=ANA)
    await place(ledger, Placed(id=talk.id, bitrix_chat_id=5))
    await place(ledger, Placed(id=talk.id, bitrix_session_id=6, wa_id=NUMBER))
    await place(ledger, Placed(id=talk.id, bitrix_contact_id=7, wa_id="12025550143"))
    found = await read(ledger, talk)
    assert (found.bitrix_chat_id, found.bitrix_session_id, found.bitrix_contact_id) == (5, 6, 7)
    assert found.customer.wa_id == NUMBER  # a customer's own webhook knows better than an answer does


async def test_two_facts_about_one_conversation_in_one_batch_are_both_kept(ledger: Ledger) -> None:
    channel = await ledger.channel()
    one, other = await ledger.talk(channel), await ledger.talk(channel)
    await place(
        ledger,
        Placed(id=one.id, bitrix_chat_id=4),
        Placed(id=other.id, bitrix_chat_id=9),
        Placed(id=one.id, bitrix_chat_id=5),
        Placed(id=one.id, bitrix_session_id=6),
    )
    found = await read(ledger, one)
    assert (found.bitrix_chat_id, found.bitrix_session_id) == (5, 6)
    assert (await read(ledger, other)).bitrix_chat_id == 9


async def test_batches_that_meet_in_the_same_conversations_wait_for_each_other_and_never_in_a_circle(
    ledger: Ledger,
) -> None:
    channel = await ledger.channel()
    talks = [await ledger.talk(channel) for _ in range(40)]

    async def hear_all(round_: int, order: list[Conversation]) -> None:
        heard = [
            Heard(id=t.id, customer=Customer(name=f"{round_}"), last_written_at=NOON, window_expires_at=NOON)
            for t in order
        ]
        async with ledger.database.transaction() as connection:
            await conversations.hear(connection, heard)

    async def place_all(round_: int, order: list[Conversation]) -> None:
        await place(ledger, *(Placed(id=talk.id, bitrix_session_id=round_) for talk in order))

    async def touch_all(order: list[Conversation]) -> None:
        async with ledger.database.transaction() as connection:
            await conversations.touch(connection, [talk.id for talk in order])

    for round_ in range(15):
        await asyncio.gather(
            hear_all(round_, talks),
            hear_all(round_, talks[::-1]),
            place_all(round_, talks[::-1]),
            place_all(round_ + 100, talks),
            touch_all(talks[20:] + talks[:20]),
            touch_all(talks[::-1]),
        )


async def test_conversations_are_listed_page_by_page_the_latest_first(ledger: Ledger) -> None:
    channel, other = await ledger.channel(), await ledger.channel()
    talks = [await ledger.talk(channel) for _ in range(5)]
    await ledger.talk(other)
    for age, talk in enumerate(talks):
        at = datetime.now(UTC) - timedelta(hours=age // 2)  # some at the very same moment
        await ledger.run("UPDATE conversation_mapping SET last_message_at = $1 WHERE id = $2", at, talk.id)
    seen: list[Any] = []
    before = None
    async with ledger.database.connection() as connection:
        while page := await conversations.listed(
            connection, portal_id=channel.portal_id, channel_id=None, before=before, limit=2
        ):
            seen += page
            before = page[-1].last_message_at, page[-1].id
        by_channel = await conversations.listed(connection, portal_id=None, channel_id=other.id, before=None, limit=10)
    assert {view.id for view in seen} == {talk.id for talk in talks}
    assert len(seen) == 5
    assert [view.last_message_at for view in seen] == sorted((v.last_message_at for v in seen), reverse=True)
    assert len(by_channel) == 1
