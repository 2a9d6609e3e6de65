"""Routing what customers wrote: into the right conversation, once, in order, and nothing poisonous harms the rest."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.bridge.house import House, a_customer, asked, lane_to_bitrix24, now
from zaptrix.bridge.route.router import TranslatedEvent
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.lanes import Lane, incoming_lane
from zaptrix.core.event import CustomerMessage, Ignored, Unroutable
from zaptrix.core.message.message import Words
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel, Portal
from zaptrix.store.journal import events as journal
from zaptrix.store.people import conversations

NUMBER, PHONE = "554188887777", "+5541988887777"
ANA, BIA = "BR.1001", "BR.2002"


async def texts(house: House) -> list[str]:
    rows = await house.ledger.rows(
        "SELECT content->'text'->'spans'->0->>'text' AS text FROM message WHERE direction = 'inbound' ORDER BY id"
    )
    return [row["text"] for row in rows]


async def events(house: House) -> list[tuple[str, str | None]]:
    return [(row["state"], row["reason"]) for row in await house.ledger.rows("SELECT * FROM event ORDER BY id")]


async def talks(house: House) -> list[Customer]:
    rows = await house.ledger.rows("SELECT id FROM conversation_mapping ORDER BY created_at")
    async with house.ledger.database.connection() as connection:
        found = await conversations.by_ids(connection, [row["id"] for row in rows])
    return [found[row["id"]].customer for row in rows]


async def test_a_new_customers_words_become_a_conversation_and_messages(
    house: House, channel: Channel, portal: Portal
) -> None:
    customer = a_customer(name="Ana Lima")
    lane = await house.customer_says(channel, "oi", "tem alguém aí?", customer=customer)
    assert lane in await house.rung_now()
    await house.drain(lane)
    assert await texts(house) == ["oi", "tem alguém aí?"]
    assert await talks(house) == [customer]
    assert await events(house) == [("routed", None)] * 2
    assert lane_to_bitrix24(portal) in await house.rung_now()
    await house.drain(lane_to_bitrix24(portal))
    (taken,) = house.bitrix24.took.values()
    assert len(taken) == 2


async def test_words_are_put_in_the_order_of_metas_clock_within_a_batch(house: House, channel: Channel) -> None:
    customer = a_customer()
    base = now().replace(microsecond=0)
    said = [
        asked(channel, customer, text, written_at=base + timedelta(seconds=second))
        for text, second in (("c", 2), ("a", 0), ("b", 1), ("b2", 1))
    ]
    lane = await house.happens(incoming_lane(channel.phone_number_id), *said)
    await house.drain(lane)
    assert await texts(house) == ["a", "b", "b2", "c"]


async def test_a_message_that_is_delivered_five_times_is_one_message(house: House, channel: Channel) -> None:
    customer = a_customer()
    message = asked(channel, customer, "oi")
    lane = incoming_lane(channel.phone_number_id)
    for _ in range(2):
        await house.happens(lane, message, message)
        await house.drain(lane)
    await house.redis.flushall()
    await house.happens(lane, message)
    await house.drain(lane)
    assert await texts(house) == ["oi"]
    assert {state for state, _ in await events(house)} <= {"routed", "ignored"}


async def test_a_hint_of_redis_that_is_wrong_loses_nothing(house: House, channel: Channel) -> None:
    """It was noted as seen by a runner whose transaction then failed."""
    customer = a_customer()
    lane = await house.customer_says(channel, "oi", customer=customer)
    message = next(iter(house.table.values()))
    assert isinstance(message, CustomerMessage)
    step = house.routes[lane.queue]._step_of
    async with house.ledger.database.connection() as connection:
        (event,) = await journal.waiting(connection, [lane], 1)
    await step([TranslatedEvent(event, message)]).prepare()  # and then it died
    await house.drain(lane)
    assert await texts(house) == ["oi"]


async def test_what_means_nothing_is_marked_and_harms_nobody(house: House, channel: Channel) -> None:
    customer = a_customer()
    lane = incoming_lane(channel.phone_number_id)
    await house.happens(lane, Ignored("a reaction"), asked(channel, customer, "oi"), Unroutable("broken"))
    await house.drain(lane)
    assert await events(house) == [("ignored", "a reaction"), ("routed", None), ("unroutable", "broken")]


async def test_a_number_that_nobody_connected_keeps_its_events_for_later(house: House, portal: Portal) -> None:
    customer = a_customer()
    lane = Lane(incoming_lane("999").queue, "999.1")
    ghost = CustomerMessage(
        phone_number_id="999",
        customer=customer,
        whatsapp_id="wamid.ghost",
        content=Words(plain_text("oi")),
        written_at=now(),
    )
    await house.happens(lane, ghost)
    await house.drain(lane)
    assert await events(house) == [("unroutable", "no channel has this number")]
    channel = await house.ledger.channel(portal, phone_number_id="999")
    async with house.ledger.database.transaction() as connection:
        assert await journal.replay_number(connection, channel.phone_number_id) == {lane.round}
    await house.drain(lane)  # at once: that nobody had this number a moment ago is not remembered
    assert await texts(house) == ["oi"]


async def test_what_came_while_a_number_was_anothers_is_not_routed_to_its_new_portal(house: House) -> None:
    """Neither what waited in the journal, nor what an admin replays, nor what Meta tells again days later."""
    first = await house.ledger.channel(await house.ledger.portal(), phone_number_id="999")
    lane, customer = incoming_lane("999"), a_customer()
    await house.happens(lane, asked(first, customer, "waits"))
    await house.ledger.run("DELETE FROM portal_config")
    taken = await house.ledger.channel(await house.ledger.portal(), phone_number_id="999")
    assert taken.number_since is not None
    await house.happens(lane, asked(taken, customer, "told again", written_at=now() - timedelta(days=2)))
    await house.happens(lane, asked(taken, customer, "for the new one"))
    for _ in range(2):
        await house.drain(lane)
        why = "it came while the number was another portal's"
        assert await events(house) == [("unroutable", why), ("unroutable", why), ("routed", None)]
        assert await texts(house) == ["for the new one"]
        async with house.ledger.database.transaction() as connection:
            for event_id in [
                row["id"] for row in await house.ledger.rows("SELECT id FROM event WHERE state <> 'routed'")
            ]:
                await journal.replay(connection, event_id)


@pytest.mark.parametrize("how", ["renumbered", "deleted"])
async def test_a_number_that_went_over_a_moment_ago_is_routed_to_whom_it_belongs(house: House, how: str) -> None:
    """Another process has moved it: what this one remembers of channels is up to two seconds old."""
    first = await house.ledger.channel(await house.ledger.portal(), phone_number_id="999")
    lane, customer = incoming_lane("999"), a_customer()
    await house.happens(lane, asked(first, customer, "to the first"))
    await house.drain(lane)
    left = "UPDATE channel SET phone_number_id = '1000'" if how == "renumbered" else "DELETE FROM channel"
    await house.ledger.run(left)
    second = await house.ledger.channel(await house.ledger.portal(), phone_number_id="999")
    await house.happens(lane, asked(second, customer, "to the second"))
    await house.drain(lane)
    rows = await house.ledger.rows("SELECT channel_id, content FROM message ORDER BY id")
    told = [(row["channel_id"], "second" in row["content"]) for row in rows]
    assert told == [(first.id, False), (second.id, True)][-len(told) :]
    assert told[-1] == (second.id, True)


@pytest.mark.parametrize("poison", ["wamid." + "9" * 250, "wamid.\x00"], ids=["too long", "a NUL in it"])
async def test_a_poisonous_event_in_a_batch_of_500_is_set_aside_alone(
    house: House, channel: Channel, poison: str
) -> None:
    """By its id: words are mended before they are stored, an id that is not the platform's own would match nothing."""
    customer = a_customer()
    lane = incoming_lane(channel.phone_number_id)
    said = [asked(channel, customer, str(n), **{"whatsapp_id": poison} if n == 250 else {}) for n in range(500)]
    await house.happens(lane, *said)
    await house.drain(lane)
    assert await texts(house) == [str(n) for n in range(500) if n != 250]
    states = await events(house)
    assert states.count(("routed", None)) == 499
    assert states[250][0] == "unroutable"
    assert "refused by the store" in (states[250][1] or "")


async def test_two_runners_on_one_lane_double_nothing_and_keep_the_order(house: House, channel: Channel) -> None:
    customer = a_customer()
    lane = incoming_lane(channel.phone_number_id)
    for block in range(6):
        await house.customer_says(channel, *(f"{block}.{n}" for n in range(20)), customer=customer)
        await asyncio.gather(*(house.drain(lane) for _ in range(4)))
    assert await texts(house) == [f"{block}.{n}" for block in range(6) for n in range(20)]
    assert await house.ledger.value("SELECT count(*) FROM event WHERE state <> 'routed'") == 0
    assert len(await talks(house)) == 1


async def test_events_beyond_one_batch_are_routed_in_the_same_slice(house: House, channel: Channel) -> None:
    customer = a_customer()
    lane = await house.customer_says(channel, *(str(n) for n in range(1_200)), customer=customer)
    await house.drain(lane)
    assert await texts(house) == [str(n) for n in range(1_200)]


# --- who is who -------------------------------------------------------------------------------------------------------


async def say(house: House, channel: Channel, text: str, customer: Customer) -> None:
    await house.drain(await house.customer_says(channel, text, customer=customer))


async def test_a_customer_stays_the_same_under_the_ninth_digit_and_a_new_user_id(
    house: House, channel: Channel
) -> None:
    await say(house, channel, "1", Customer(wa_id=NUMBER, phone=PHONE))
    await say(house, channel, "2", Customer(wa_id="5541988887777", phone=PHONE))
    await say(house, channel, "3", Customer(bsuid=ANA, wa_id=NUMBER, phone=PHONE))
    await say(house, channel, "4", Customer(bsuid=ANA))
    (known,) = await talks(house)
    assert (known.bsuid, known.phone) == (ANA, PHONE)
    assert await texts(house) == ["1", "2", "3", "4"]


async def test_a_recycled_number_never_shows_its_old_owners_conversation_to_the_new_one(
    house: House, channel: Channel
) -> None:
    await say(house, channel, "1", Customer(bsuid=ANA, wa_id=NUMBER, phone=PHONE))
    await say(house, channel, "2", Customer(bsuid=BIA, wa_id=NUMBER, phone=PHONE))
    await say(house, channel, "3", Customer(bsuid=ANA))
    ana, bia = await talks(house)
    assert (ana.bsuid, ana.wa_id, ana.phone) == (ANA, None, None)
    assert (bia.bsuid, bia.wa_id) == (BIA, NUMBER)
    rows = await house.ledger.rows("SELECT conversation_id FROM message ORDER BY id")
    assert rows[0] == rows[2] != rows[1]


async def test_an_old_customer_who_takes_over_a_number_is_still_heard(house: House, channel: Channel) -> None:
    await say(house, channel, "1", Customer(bsuid=ANA, wa_id=NUMBER, phone=PHONE))
    await say(house, channel, "2", Customer(bsuid=BIA, wa_id="12025550143", phone="+12025550143"))
    await say(house, channel, "3", Customer(bsuid=BIA, wa_id=NUMBER, phone=PHONE))
    assert await texts(house) == ["1", "2", "3"]
    ana, bia = await talks(house)
    assert (ana.wa_id, bia.wa_id) == (None, NUMBER)


async def test_one_customer_under_two_names_in_one_batch_is_one_customer_and_nothing_is_forgotten(
    house: House, channel: Channel
) -> None:
    await say(house, channel, "1", Customer(wa_id=NUMBER, phone=PHONE))
    lane = incoming_lane(channel.phone_number_id)
    await house.happens(
        lane,
        asked(channel, Customer(bsuid=ANA, wa_id=NUMBER, phone=PHONE), "2"),
        asked(channel, Customer(wa_id=NUMBER, phone=PHONE, name="Ana"), "3"),
    )
    await house.drain(lane)
    assert await talks(house) == [Customer(bsuid=ANA, wa_id=NUMBER, phone=PHONE, name="Ana")]
    assert await texts(house) == ["1", "2", "3"]


async def test_a_new_customer_who_is_found_on_two_lanes_at_once_loses_no_word(house: House, channel: Channel) -> None:
    """Some webhooks carry the user id and some do not: they go to different lanes, at the same moment."""
    for number in range(12):
        wa_id = f"1202555{number:04d}"
        lanes = [
            await house.customer_says(channel, "a", customer=Customer(bsuid=f"US.{number}", wa_id=wa_id)),
            await house.customer_says(channel, "b", customer=Customer(wa_id=wa_id)),
        ]
        await asyncio.gather(*map(house.drain, lanes))
    assert {state for state, _ in await events(house)} == {"routed"}
    assert len(await texts(house)) == 24
    assert len(await talks(house)) == 12


async def test_two_channels_of_the_same_customer_never_share_a_conversation(house: House) -> None:
    ours, theirs = await house.ledger.channel(), await house.ledger.channel()
    customer = a_customer()
    for each in (ours, theirs):
        await say(house, each, "oi", customer)
    rows = await house.ledger.rows("SELECT portal_id, conversation_id FROM message ORDER BY id")
    assert rows[0]["portal_id"] == ours.portal_id
    assert rows[1]["portal_id"] == theirs.portal_id
    assert rows[0]["conversation_id"] != rows[1]["conversation_id"]


async def test_the_window_is_counted_from_metas_clock_and_never_moves_back(house: House, channel: Channel) -> None:
    customer = a_customer()
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    lane = incoming_lane(channel.phone_number_id)
    for written_at in (noon, noon - timedelta(days=3)):
        await house.happens(lane, asked(channel, customer, "oi", written_at=written_at))
        await house.drain(lane)
    window = await house.ledger.value("SELECT window_expires_at FROM conversation_mapping")
    assert window == noon + timedelta(hours=24)
    (cached,) = (await house.cache.get_many_by_customer([(channel.id, customer.key)])).values()
    assert cached.window_expires_at == window


async def test_a_name_that_changed_is_kept_and_one_that_is_left_out_is_not_forgotten(
    house: House, channel: Channel
) -> None:
    customer = a_customer(name="Ana")
    for name in ("Ana", "Ana Lima", None):
        await say(house, channel, "oi", Customer(wa_id=customer.wa_id, phone=customer.phone, name=name))
    (known,) = await talks(house)
    assert known.name == "Ana Lima"
