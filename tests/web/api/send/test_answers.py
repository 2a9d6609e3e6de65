"""Answers and reactions by the API: each names a message of its conversation that WhatsApp knows."""

import pytest

from tests.web.api.send.test_kinds import errors
from tests.web.gateway import Gateway, Json, Reply, a_conversation, a_letter


@pytest.fixture
async def channel(gateway: Gateway) -> Json:
    return await gateway.channel((await gateway.portal())["id"])


@pytest.fixture
async def talk(gateway: Gateway, channel: Json) -> str:
    return await a_conversation(gateway, channel)


async def answer(gateway: Gateway, talk: str, message_id: int) -> Reply:
    body = {"conversation_id": talk, "text": "oi", "reply_to": message_id}
    return await gateway.call("POST", "/api/messages/text", body)


async def test_an_answer_keeps_the_words_that_it_answers(gateway: Gateway, channel: Json, talk: str) -> None:
    asked = await a_letter(gateway, channel, talk, state="sent", whatsapp_id="wamid.A1")
    reply = await answer(gateway, talk, asked)
    assert reply.status == 202
    story = (await gateway.call("GET", f"/api/messages/{reply.json['id']}")).json
    assert story["content"]["marks"]["quote"] == {"whatsapp_id": "wamid.A1", "kind": "text", "ours": True, "gist": "oi"}


async def test_what_cannot_be_answered_is_refused(gateway: Gateway, channel: Json, talk: str) -> None:
    unsent = await a_letter(gateway, channel, talk)
    elsewhere = await a_letter(
        gateway, channel, await a_conversation(gateway, channel), state="sent", whatsapp_id="wamid.B1"
    )
    for message_id, why in ((unsent, "not on WhatsApp"), (elsewhere, "no message of"), (2**62, "no message of")):
        reply = await answer(gateway, talk, message_id)
        assert reply.status == 422
        assert reply.problem["errors"][0]["field"] == "/reply_to"
        assert why in reply.problem["detail"]


async def test_a_reaction_is_to_a_message_that_the_caller_may_see(gateway: Gateway, channel: Json, talk: str) -> None:
    message_id = await a_letter(gateway, channel, talk, state="sent", whatsapp_id="wamid.C1")
    stranger = await gateway.key_for((await gateway.portal())["id"])
    body = {"message_id": message_id, "emoji": "👍"}
    reply = await gateway.call("POST", "/api/messages/reaction", body)
    assert reply.status == 202
    assert reply.json["conversation_id"] == talk
    assert (await gateway.call("POST", "/api/messages/reaction", body, key=stranger)).status == 404


async def test_a_reaction_to_what_is_older_than_30_days_is_refused(gateway: Gateway, channel: Json, talk: str) -> None:
    message_id = await a_letter(gateway, channel, talk, state="sent", whatsapp_id="wamid.D1")
    await gateway.rows("UPDATE message SET written_at = now() - interval '31 days' WHERE id = $1", message_id)
    reply = await gateway.call("POST", "/api/messages/reaction", {"message_id": message_id, "emoji": "👍"})
    assert reply.problem["errors"] == [{"field": "/message_id", "message": "is older than 30 days", "code": "target"}]


@pytest.mark.parametrize("emoji", ["ok", "👍 ", "👍!", "1", " "])
async def test_what_is_no_emoji_is_no_reaction(gateway: Gateway, channel: Json, talk: str, emoji: str) -> None:
    message_id = await a_letter(gateway, channel, talk, state="sent", whatsapp_id=f"wamid.E{ord(emoji[-1])}")
    reply = await gateway.call("POST", "/api/messages/reaction", {"message_id": message_id, "emoji": emoji})
    assert errors(reply) == [("/emoji", "emoji")]


@pytest.mark.parametrize("emoji", ["👍", "❤️", "👨‍👩‍👧‍👦", "🇧🇷", "1️⃣", "🏳️‍🌈", ""])
async def test_emoji_are_reactions_and_none_takes_ours_away(
    gateway: Gateway, channel: Json, talk: str, emoji: str
) -> None:
    message_id = await a_letter(gateway, channel, talk, state="sent", whatsapp_id=f"wamid.F{emoji!a}")
    reply = await gateway.call("POST", "/api/messages/reaction", {"message_id": message_id, "emoji": emoji})
    assert reply.status == 202
