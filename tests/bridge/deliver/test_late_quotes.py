"""Quotes of what was sent a moment ago: the customer may answer before the ledger has learned its WhatsApp id."""

import dataclasses
from typing import Any

from tests.bridge.house import House, a_customer, asked, lane_to_bitrix24
from tests.store.ledger_rows import outbound, to_whatsapp
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.lanes import incoming_lane
from zaptrix.core.message.kinds import Marks, Quote, Reaction
from zaptrix.core.message.message import Words, quote_of
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel
from zaptrix.store.ledger.claims import ClaimedRow

OURS = "wamid.ours"
TOLD = Quote(whatsapp_id=OURS, kind="text", ours=True, gist="Temos azul?")
LOST = Quote(whatsapp_id=OURS)


async def underway(house: House, channel: Channel, talk: Conversation) -> ClaimedRow:
    """A message of ours that Meta has and whose id is not in the ledger yet."""
    await house.ledger.write(outbound(talk, "Temos azul?"))
    (row,) = await house.ledger.claim(to_whatsapp(channel))
    return row


async def answers(house: House, channel: Channel, customer: Customer, **changes: Any) -> None:
    """The customer answers it, and the answer is routed."""
    content = Words(plain_text("sim"), marks=Marks(quote=LOST))
    said = asked(channel, customer, "sim", **{"content": content} | changes)
    await house.drain(await house.happens(incoming_lane(channel.phone_number_id), said))


async def is_there(house: House) -> bool:
    return not await house.ledger.value("SELECT count(*) FROM message WHERE direction = 'inbound' AND state <> 'sent'")


def shown(house: House) -> list[Quote | None]:
    return [quote_of(claim.content) for claim in house.bitrix24.claims]


async def test_an_answer_to_what_was_sent_meanwhile_shows_its_words(
    house: House, channel: Channel, talk: Conversation
) -> None:
    row = await underway(house, channel, talk)
    await answers(house, channel, talk.customer)
    await house.ledger.end(row, "sent", whatsapp_id=OURS)
    await house.drain(lane_to_bitrix24(talk.portal_id))
    assert shown(house) == [TOLD]
    # Whoever looks for the line in the chat, or reads it by the API, finds the same words.
    told = "SELECT content->'marks'->'quote'->>'gist' FROM message WHERE direction = 'inbound'"
    assert await house.ledger.value(told) == "Temos azul?"


async def test_an_answer_waits_for_a_send_whose_end_is_not_known_and_holds_no_other_conversation(
    house: House, channel: Channel, talk: Conversation
) -> None:
    patient = dataclasses.replace(house, quote_wait_s=600.0)
    row = await underway(patient, channel, talk)
    await answers(patient, channel, talk.customer, content=Reaction(emoji="👍", marks=Marks(quote=LOST)))
    other = await patient.ledger.talk(channel, chat_id=6)
    (message_id,) = await patient.ledger.inbound(other)

    await patient.drain(lane_to_bitrix24(talk.portal_id))

    assert [claim.message_id for claim in patient.bitrix24.claims] == [message_id]
    (waiting,) = await patient.ledger.rows("SELECT * FROM message WHERE direction = 'inbound' AND state = 'pending'")
    assert (waiting["attempts"], waiting["error_code"]) == (0, "quote_wanted")
    assert lane_to_bitrix24(talk.portal_id).round in await patient.rung()

    await patient.ledger.end(row, "sent", whatsapp_id=OURS)
    await patient.run_until(lane_to_bitrix24(talk.portal_id), state=lambda: is_there(patient))
    assert shown(patient)[1:] == [TOLD]


async def test_an_answer_does_not_wait_for_ever(house: House, channel: Channel, talk: Conversation) -> None:
    await underway(house, channel, talk)
    await answers(house, channel, talk.customer)
    await house.drain(lane_to_bitrix24(talk.portal_id))
    assert shown(house) == [LOST]


async def test_an_answer_to_what_nobody_here_sent_waits_for_nothing(
    house: House, channel: Channel, talk: Conversation
) -> None:
    patient = dataclasses.replace(house, quote_wait_s=600.0)
    await underway(patient, channel, await patient.ledger.talk(channel, chat_id=6))  # another customer's
    await answers(patient, channel, talk.customer)
    await patient.drain(lane_to_bitrix24(talk.portal_id))
    assert shown(patient) == [LOST]


async def test_another_customers_words_are_not_shown_at_delivery_either(
    house: House, channel: Channel, talk: Conversation
) -> None:
    row = await underway(house, channel, talk)
    await answers(house, channel, a_customer())
    await house.ledger.end(row, "sent", whatsapp_id=OURS)
    await house.drain(lane_to_bitrix24(talk.portal_id))
    assert shown(house) == [LOST]
