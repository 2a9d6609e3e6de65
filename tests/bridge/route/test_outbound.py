"""Routing what an open line tells: operators' words, sessions, and a connector that is gone."""

import pytest

from tests.bridge.house import House, answered, chat_of, lane_to_whatsapp
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.event import ConnectorLost, DialogStarted, OperatorMessage
from zaptrix.core.ids import ConversationId, PortalId, external_chat_id
from zaptrix.core.portal import Channel, Portal


async def mapping(house: House, talk: Conversation) -> dict[str, object]:
    rows = await house.ledger.rows(
        "SELECT bitrix_chat_id AS chat, bitrix_session_id AS session FROM conversation_mapping WHERE id = $1", talk.id
    )
    return rows[0]


async def test_an_operators_words_go_to_the_customers_channel(
    house: House, channel: Channel, talk: Conversation
) -> None:
    lane = await house.operator_says(talk, "bom dia", "em que posso ajudar?")
    await house.drain(lane)
    rows = await house.ledger.rows("SELECT * FROM message ORDER BY id")
    assert [(row["origin"], row["lane_id"]) for row in rows] == [("operator", channel.id)] * 2
    assert {row["bitrix_chat_id"] for row in rows} == {chat_of(talk)}
    assert lane_to_whatsapp(channel) in await house.rung_now()
    await house.drain(lane_to_whatsapp(channel))
    assert house.whatsapp.took[talk.id] == [row["id"] for row in rows]


async def test_operators_words_are_put_in_the_order_of_the_portals_count(house: House, talk: Conversation) -> None:
    said = [answered(talk, text, bitrix_message_id=number) for text, number in (("b", 902), ("a", 901), ("c", 903))]
    await house.drain(await house.portal_tells(talk.portal_id, *said))
    rows = await house.ledger.rows("SELECT bitrix_message_id FROM message ORDER BY id")
    assert [row["bitrix_message_id"] for row in rows] == [901, 902, 903]


async def test_an_event_that_comes_twice_is_one_message(house: House, talk: Conversation) -> None:
    message = answered(talk, "oi")
    for _ in range(3):
        await house.drain(await house.portal_tells(talk.portal_id, message))
    assert await house.ledger.states() == ["pending"]


async def test_a_chat_of_another_portal_is_nobodys(house: House, talk: Conversation) -> None:
    stranger = await house.ledger.portal()
    lane = await house.portal_tells(
        stranger.id,
        answered(talk, "give me your customers"),
        DialogStarted(external_chat_id=talk.external_chat_id, bitrix_session_id=9),
    )
    await house.drain(lane)
    assert await house.ledger.states() == []
    assert (await mapping(house, talk))["session"] is None
    states = [row["state"] for row in await house.ledger.rows("SELECT state FROM event")]
    assert states == ["unroutable", "unroutable"]


async def test_a_chat_of_another_portal_is_nobodys_even_when_the_cache_knows_it(
    house: House, talk: Conversation
) -> None:
    await house.drain(await house.operator_says(talk, "oi"))
    stranger = await house.ledger.portal()
    await house.drain(await house.portal_tells(stranger.id, answered(talk, "x")))
    assert len(await house.ledger.states()) == 1


@pytest.mark.parametrize("chat_id", ["", "554188887777", "zx1-a-b"])
async def test_a_chat_that_is_not_ours_is_kept_for_an_admin(
    house: House, portal: Portal, talk: Conversation, chat_id: str
) -> None:
    await house.drain(await house.portal_tells(portal.id, answered(talk, "oi", external_chat_id=chat_id)))
    (event,) = await house.ledger.rows("SELECT state, reason FROM event")
    assert tuple(event.values()) == ("unroutable", "no conversation of this portal has this chat id")


async def test_a_chat_that_names_another_channel_than_its_conversations_is_nobodys(
    house: House, portal: Portal, talk: Conversation
) -> None:
    other = await house.ledger.channel(portal)
    forged = external_chat_id(other.id, ConversationId(talk.id))
    await house.drain(await house.portal_tells(portal.id, answered(talk, "oi", external_chat_id=forged)))
    assert await house.ledger.states() == []


async def test_a_session_that_begins_is_remembered(house: House, talk: Conversation) -> None:
    started = DialogStarted(external_chat_id=talk.external_chat_id, bitrix_session_id=41)
    await house.drain(await house.portal_tells(talk.portal_id, started))
    assert (await mapping(house, talk))["session"] == 41


async def test_a_session_and_a_first_answer_in_one_batch_tell_both_chat_and_session(
    house: House, channel: Channel
) -> None:
    new = await house.ledger.talk(channel)
    batches: list[list[OperatorMessage | DialogStarted]] = [
        [answered(new, "oi"), DialogStarted(external_chat_id=new.external_chat_id, bitrix_session_id=41)],
        [DialogStarted(external_chat_id=new.external_chat_id, bitrix_session_id=42), answered(new, "oi")],
    ]
    for told in batches:
        await house.drain(await house.portal_tells(new.portal_id, *told))
    assert await mapping(house, new) == {"chat": chat_of(new), "session": 42}


async def test_an_operators_words_move_the_conversation_to_the_top(house: House, talk: Conversation) -> None:
    await house.ledger.run("UPDATE conversation_mapping SET last_message_at = now() - interval '1 day'")
    await house.drain(await house.operator_says(talk, "oi"))
    assert await house.ledger.value("SELECT last_message_at > now() - interval '1 hour' FROM conversation_mapping")


async def paused(house: House) -> dict[str, tuple[bool, bool]]:
    rows = await house.ledger.rows("SELECT name, whatsapp_paused_at, line_paused_at FROM channel")
    return {row["name"]: (row["whatsapp_paused_at"] is not None, row["line_paused_at"] is not None) for row in rows}


async def three_lines(house: House, portal_id: PortalId) -> None:
    portal = (await house.ledger.rows("SELECT id FROM portal_config WHERE id = $1", portal_id))[0]
    for name, line_id in (("a", 7), ("b", 7), ("c", 8)):
        await house.ledger.run(
            "INSERT INTO channel (portal_id, name, phone_number_id, display_phone_number, access_token, line_id,"
            " updated_at) VALUES ($1, $2, $2, $2, 'x', $3, now() - interval '1 minute')",
            portal["id"],
            name,
            line_id,
        )


async def test_a_connector_that_is_switched_off_pauses_its_line_and_lets_whatsapp_go(
    house: House, portal: Portal
) -> None:
    await three_lines(house, portal.id)
    lost = ConnectorLost(connector_id=portal.connector_id, line_id=7, reason="switched off")
    await house.drain(await house.portal_tells(portal.id, lost, lost))
    assert await paused(house) == {"a": (False, True), "b": (False, True), "c": (False, False)}
    assert await house.ledger.value("SELECT count(*) FROM audit WHERE action = 'channel.pause'") == 2


async def test_a_line_that_is_deleted_pauses_whatever_stood_there(house: House, portal: Portal) -> None:
    await three_lines(house, portal.id)
    await house.drain(
        await house.portal_tells(portal.id, ConnectorLost(connector_id=None, line_id=8, reason="deleted"))
    )
    assert (await paused(house))["c"] == (False, True)


async def test_somebody_elses_connector_is_none_of_ours(house: House, portal: Portal) -> None:
    await three_lines(house, portal.id)
    stranger = await house.ledger.portal()
    lost = ConnectorLost(connector_id="another_app", line_id=7, reason="switched off")
    await house.drain(await house.portal_tells(portal.id, lost))
    own = ConnectorLost(connector_id=stranger.connector_id, line_id=7, reason="switched off")
    await house.drain(await house.portal_tells(stranger.id, own))
    assert set((await paused(house)).values()) == {(False, False)}
