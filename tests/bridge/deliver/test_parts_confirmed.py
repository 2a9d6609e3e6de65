"""Several messages of one message of an operator's are confirmed when none of them is on its way any more."""

import pytest

from tests.bridge.house import House, answered, lane_to_bitrix24, lane_to_whatsapp
from zaptrix.bitrix24.translate import to_delivery
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.portal import Channel
from zaptrix.core.ports import Call


async def two_parts(house: House, talk: Conversation) -> None:
    long = answered(talk, "a" * 5000, bitrix_message_id=70)
    await house.drain(await house.portal_tells(talk.portal_id, long, answered(talk, "b", bitrix_message_id=71)))


async def confirmed(house: House, talk: Conversation) -> list[tuple[int | None, list[str]]]:
    """What the portal is told: its message, and WhatsApp's ids."""
    told: list[Claim] = []
    confirm = house.bitrix24.confirm

    async def listening(claims: Call) -> object:
        told.extend(claims)
        return await confirm(claims)

    house.bitrix24.confirm = listening  # type: ignore[method-assign, assignment]
    await house.drain(lane_to_bitrix24(talk.portal_id))
    house.bitrix24.confirm = confirm  # type: ignore[method-assign]
    return [(claim.bitrix_message_id, to_delivery(claim)["message"]["id"]) for claim in told]  # type: ignore[index]


async def test_each_confirmation_names_all_parts(house: House, channel: Channel, talk: Conversation) -> None:
    house.by_rows()
    await two_parts(house, talk)
    await house.drain(lane_to_whatsapp(channel))
    assert await confirmed(house, talk) == [
        (70, ["wamid.1", "wamid.2"]),
        (70, ["wamid.1", "wamid.2"]),
        (71, ["wamid.3"]),
    ]


@pytest.mark.parametrize("state", ["pending", "sending", "verifying"])
async def test_nothing_is_confirmed_while_a_part_is_on_its_way(
    house: House, channel: Channel, talk: Conversation, state: str
) -> None:
    house.by_rows()
    await two_parts(house, talk)
    await house.drain(lane_to_whatsapp(channel))
    await house.ledger.run("UPDATE message SET state = $1, due_at = now() + interval '1 hour' WHERE part = 1", state)
    await house.ledger.run("DELETE FROM confirmation WHERE message_id IN (SELECT id FROM message WHERE part = 1)")
    assert await confirmed(house, talk) == [(71, ["wamid.3"])]
    await house.ledger.run("UPDATE message SET state = 'dead', whatsapp_id = NULL WHERE part = 1")
    await house.ledger.run("UPDATE confirmation SET due_at = now()")  # a second later
    assert await confirmed(house, talk) == [(70, ["wamid.1"])]
