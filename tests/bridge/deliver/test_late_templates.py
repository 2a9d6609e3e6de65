"""Naming: a closed window's notice says what would work, and whoever waits for Meta's list holds nobody else."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.bridge.house import House
from tests.core.templates import a_definition
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.errors import Refused, Unavailable, Unclear
from zaptrix.core.delivery.lanes import bitrix24_lane, meta_lane
from zaptrix.core.message.message import Notice
from zaptrix.core.portal import Channel

CLOSED = Refused("131047", "24 h", notice="window_closed")
LINE = "• lembrete (pt_BR): Sua consulta é amanhã."


@pytest.fixture
async def patient(house: House) -> AsyncIterator[House]:
    """A house whose notices wait for Meta's list as long as it takes."""
    patient = dataclasses.replace(house, naming_wait_s=600.0)
    patient.account.listed = [a_definition(name="lembrete", body="Sua consulta é amanhã.")]
    yield patient
    patient.account.gate.set()


async def closes(house: House, channel: Channel, talk: Conversation) -> int:
    """An operator writes too late; the message."""
    (message_id,) = await house.ledger.outbound(talk)
    house.whatsapp.once(CLOSED)
    await house.drain(meta_lane(channel.id))
    assert await house.ledger.state(message_id) == "dead"
    return message_id


async def notice(house: House) -> dict[str, Any]:
    (row,) = await house.ledger.rows("SELECT * FROM message WHERE kind = 'notice'")
    return row


async def shown(house: House) -> bool:
    return bool((await notice(house))["state"] == "sent")


async def test_a_slow_list_holds_nobody_but_the_notice_that_waits_for_it(
    patient: House, channel: Channel, talk: Conversation
) -> None:
    await closes(patient, channel, talk)
    neighbours = [await patient.ledger.talk(channel, chat_id=number) for number in range(100, 110)]
    asked = [(await patient.ledger.inbound(each))[0] for each in neighbours]

    await patient.drain(bitrix24_lane(channel.portal_id))

    assert {await patient.ledger.state(each) for each in asked} == {"sent"}
    row = await notice(patient)
    assert (row["state"], row["attempts"], row["error_code"]) == ("pending", 0, "templates_wanted")
    assert bitrix24_lane(channel.portal_id) in await patient.rung()

    patient.account.gate.set()
    await patient.run_until(bitrix24_lane(channel.portal_id), state=lambda: shown(patient))

    (said,) = [claim.content for claim in patient.bitrix24.claims if isinstance(claim.content, Notice)]
    assert (said.code, said.params["templates"]) == ("window_closed_templates", LINE)
    assert patient.account.asked == 1


async def test_nothing_that_routes_or_settles_asks_meta(patient: House, channel: Channel, talk: Conversation) -> None:
    await closes(patient, channel, talk)
    assert patient.account.asked == 0


async def test_a_list_that_does_not_come_leaves_the_notice_as_it_is(
    house: House, channel: Channel, talk: Conversation
) -> None:
    await closes(house, channel, talk)
    await house.drain(bitrix24_lane(channel.portal_id))
    (said,) = [claim.content for claim in house.bitrix24.claims]
    assert isinstance(said, Notice)
    assert said.code == "window_closed"
    house.account.gate.set()


async def test_a_list_that_meta_refuses_is_not_asked_for_again_and_again(
    patient: House, channel: Channel, talk: Conversation
) -> None:
    patient.account.fails = Unavailable("503")
    for _ in range(3):
        await closes(patient, channel, talk)
    await patient.run_until(bitrix24_lane(channel.portal_id), state=patient.settled)
    assert {claim.content.code for claim in patient.bitrix24.claims if isinstance(claim.content, Notice)} == {
        "window_closed"
    }
    assert patient.account.asked == 1


async def test_a_notice_is_looked_for_in_the_words_in_which_it_was_said(
    patient: House, channel: Channel, talk: Conversation
) -> None:
    patient.account.gate.set()
    await closes(patient, channel, talk)
    patient.bitrix24.once(Unclear("timeout"))
    await patient.run_until(bitrix24_lane(channel.portal_id), state=lambda: shown(patient))
    words = [claim.content for claim in patient.bitrix24.claims]
    assert len(words) == 2
    assert words[0] == words[1]


async def test_what_the_operator_was_told_is_kept_with_the_message(
    patient: House, channel: Channel, talk: Conversation
) -> None:
    patient.account.gate.set()
    message_id = await closes(patient, channel, talk)
    await patient.run_until(bitrix24_lane(channel.portal_id), state=lambda: shown(patient))
    row = await notice(patient)
    assert (await patient.ledger.row(message_id))["notice_id"] == row["id"]
    assert LINE in row["content"]
