"""`/api/messages`: a text is queued once, whatever happens to the answer, and its story can be read."""

import asyncio
from uuid import UUID, uuid4

import pytest

from tests.web.gateway import Gateway, Json, a_conversation, a_letter, a_request_id


@pytest.fixture
async def channel(gateway: Gateway) -> Json:
    return await gateway.channel((await gateway.portal())["id"])


async def talk(gateway: Gateway, message_id: int) -> Json:
    """The conversation of a message."""
    (row,) = await gateway.rows(
        "SELECT c.* FROM conversation_mapping c JOIN message m ON m.conversation_id = c.id WHERE m.id = $1", message_id
    )
    return row


async def send(gateway: Gateway, channel: Json, to: str, **changes: object) -> Json:
    body = {"channel_id": channel["id"], "to": to, "text": "olá", **changes}
    reply = await gateway.call("POST", "/api/messages/text", body)
    assert reply.status == 202, reply
    queued: Json = reply.json
    return queued


async def test_a_text_to_a_new_customer_is_queued(gateway: Gateway, channel: Json) -> None:
    request_id = a_request_id()
    body = {"channel_id": channel["id"], "to": "(41) 98888-7777", "text": "olá *mundo*"}
    reply = await gateway.call("POST", "/api/messages/text", body, headers={"X-Request-Id": request_id})
    assert reply.status == 202
    queued = reply.json
    assert reply.headers["Location"] == f"/api/messages/{queued['id']}"
    assert (queued["channel_id"], queued["portal_id"]) == (channel["id"], channel["portal_id"])
    (row,) = await gateway.rows("SELECT * FROM message WHERE id = $1", queued["id"])
    assert (row["direction"], row["origin"], row["state"]) == ("outbound", "api", "pending")
    assert row["request_id"] == request_id
    assert str(row["lane_id"]) == channel["id"]
    assert (await talk(gateway, queued["id"]))["phone"] == "+5541988887777"


async def test_one_customer_in_many_spellings_has_one_conversation(gateway: Gateway, channel: Json) -> None:
    spellings = ["+55 41 98888-7777", "41988887777", "5541988887777", "554188887777", "0055 41 98888 7777"]
    conversations = {(await send(gateway, channel, to))["conversation_id"] for to in spellings}
    assert len(conversations) == 1


async def test_ten_texts_to_a_new_customer_at_once_make_one_conversation(gateway: Gateway, channel: Json) -> None:
    queued = await asyncio.gather(*(send(gateway, channel, "+5541977776666") for _ in range(10)))
    assert len({each["conversation_id"] for each in queued}) == 1
    assert len({each["id"] for each in queued}) == 10


async def test_a_known_customer_is_found_by_whatsapp_id_and_by_user_id(gateway: Gateway, channel: Json) -> None:
    known = await a_conversation(gateway, channel, wa_id="447911123456", bsuid="GB.4711")
    assert (await send(gateway, channel, "447911123456"))["conversation_id"] == known
    assert (await send(gateway, channel, "GB.4711"))["conversation_id"] == known


async def test_a_customer_who_is_only_a_user_id_can_be_written_to(gateway: Gateway, channel: Json) -> None:
    queued = await send(gateway, channel, "BR.7391046285510937264")
    assert (await talk(gateway, queued["id"]))["bsuid"] == "BR.7391046285510937264"


async def test_a_text_goes_into_a_conversation_that_is_there(gateway: Gateway, channel: Json) -> None:
    known = await a_conversation(gateway, channel)
    reply = await gateway.call("POST", "/api/messages/text", {"conversation_id": known, "text": "oi"})
    assert reply.status == 202
    assert (reply.json["conversation_id"], reply.json["channel_id"]) == (known, channel["id"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"to": "abc"}, "to"),
        ({"to": "123"}, "to"),
        ({"to": "br.lowercase"}, "to"),
        ({"to": ""}, "to"),
        ({"to": " 41988887777"}, "to"),
        ({"to": "x" * 141}, "to"),
        ({"text": ""}, "text"),
        ({"text": " \n "}, "text"),
        ({"text": "a\0b"}, "text"),
        ({"text": "x" * 4097}, "text"),
        ({"text": "*a* " * 700}, "text"),
        ({"text": None}, "text"),
        ({"conversation_id": "00000000-0000-4000-8000-000000000000"}, "to"),
        ({"to": None}, "to"),
        ({"priority": 1}, "priority"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_the_field_named(
    gateway: Gateway, channel: Json, changes: Json, field: str
) -> None:
    body = {"channel_id": channel["id"], "to": "+5541988887777", "text": "oi", **changes}
    reply = await gateway.call("POST", "/api/messages/text", body)
    assert reply.status == 422, reply
    assert [error["field"] for error in reply.problem["errors"]] == [f"/{field}"]


@pytest.mark.parametrize("body", [{"text": "oi"}, {"text": "oi", "to": "+5541988887777"}])
async def test_a_text_to_nobody_is_refused(gateway: Gateway, body: Json) -> None:
    assert (await gateway.call("POST", "/api/messages/text", body)).status == 422


async def test_an_unknown_channel_or_conversation_is_404(gateway: Gateway) -> None:
    for body in ({"channel_id": str(uuid4()), "to": "+5541988887777"}, {"conversation_id": str(uuid4())}):
        assert (await gateway.call("POST", "/api/messages/text", {**body, "text": "oi"})).status == 404


async def test_a_conversation_of_another_channel_is_refused(gateway: Gateway, channel: Json) -> None:
    other = await gateway.channel(channel["portal_id"])
    known = await a_conversation(gateway, other)
    body = {"conversation_id": known, "channel_id": channel["id"], "text": "oi"}
    assert (await gateway.call("POST", "/api/messages/text", body)).status == 422


async def test_the_same_key_and_body_give_the_same_answer(gateway: Gateway, channel: Json) -> None:
    body = {"channel_id": channel["id"], "to": "+5541988887777", "text": "oi"}
    headers = {"Idempotency-Key": uuid4().hex}
    first = await gateway.call("POST", "/api/messages/text", body, headers=headers)
    second = await gateway.call("POST", "/api/messages/text", body, headers=headers)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (first.status, first.body, first.headers["Location"]) == (
        second.status,
        second.body,
        second.headers["Location"],
    )


async def test_the_same_key_twenty_times_at_once_is_one_message(gateway: Gateway, channel: Json) -> None:
    body = {"channel_id": channel["id"], "to": "+5541955554444", "text": "oi"}
    headers = {"Idempotency-Key": uuid4().hex}
    replies = await asyncio.gather(
        *(gateway.call("POST", "/api/messages/text", body, headers=headers) for _ in range(20))
    )
    assert {reply.status for reply in replies} == {202}
    assert len({reply.json["id"] for reply in replies}) == 1
    assert ["Idempotency-Replayed" in reply.headers for reply in replies].count(False) == 1
    rows = await gateway.rows("SELECT id FROM message WHERE channel_id = $1", UUID(channel["id"]))
    assert len(rows) == 1


async def test_the_same_key_with_another_body_is_refused(gateway: Gateway, channel: Json) -> None:
    body = {"channel_id": channel["id"], "to": "+5541988887777", "text": "oi"}
    headers = {"Idempotency-Key": uuid4().hex}
    await gateway.call("POST", "/api/messages/text", body, headers=headers)
    reply = await gateway.call("POST", "/api/messages/text", {**body, "text": "tchau"}, headers=headers)
    assert reply.status == 422
    assert reply.problem["type"] == "urn:zaptrix:problem:idempotency-key-reused"


async def test_a_key_belongs_to_its_caller(gateway: Gateway, channel: Json) -> None:
    body = {"channel_id": channel["id"], "to": "+5541988887777", "text": "oi"}
    headers = {"Idempotency-Key": uuid4().hex}
    mine = await gateway.call("POST", "/api/messages/text", body, headers=headers)
    key = await gateway.key_for(channel["portal_id"])
    theirs = await gateway.call("POST", "/api/messages/text", body, headers=headers, key=key)
    assert mine.json["id"] != theirs.json["id"]


@pytest.mark.parametrize("key", ["x" * 256, " "])
async def test_a_key_that_is_none_is_refused(gateway: Gateway, channel: Json, key: str) -> None:
    body = {"channel_id": channel["id"], "to": "+5541988887777", "text": "oi"}
    reply = await gateway.call("POST", "/api/messages/text", body, headers={"Idempotency-Key": key})
    assert reply.status == 422


async def test_a_messages_story_tells_what_happened_in_order(gateway: Gateway, channel: Json) -> None:
    queued = await send(gateway, channel, "+5541988887777")
    await gateway.rows(
        """INSERT INTO attempt (message_id, number, verdict, code, detail, ended_at)
        VALUES ($1, 1, 'retry', '131016', 'away', now() + interval '1 s'), ($1, 2, 'verify', 'timeout', '',
        now() + interval '2 s')""",
        queued["id"],
    )
    await gateway.rows(
        """UPDATE message SET state = 'read', attempts = 2, whatsapp_id = 'wamid.story',
        sent_at = now() + interval '3 s', delivered_at = now() + interval '4 s',
        read_at = now() + interval '5 s' WHERE id = $1""",
        queued["id"],
    )
    story = (await gateway.call("GET", f"/api/messages/{queued['id']}")).json
    assert (story["text"], story["message"]["state"], story["message"]["whatsapp_id"]) == (
        "olá",
        "read",
        "wamid.story",
    )
    assert [moment["what"] for moment in story["timeline"]] == [
        "written",
        "queued",
        "retry",
        "verify",
        "sent",
        "delivered",
        "read",
    ]
    assert [(attempt["number"], attempt["code"]) for attempt in story["attempts"]] == [(1, "131016"), (2, "timeout")]


async def test_a_dead_letters_story_ends_with_its_death(gateway: Gateway, channel: Json) -> None:
    conversation = await a_conversation(gateway, channel)
    letter = await a_letter(gateway, channel, conversation)
    await gateway.rows("UPDATE message SET dead_at = now() + interval '1 s' WHERE id = $1", letter)
    story = (await gateway.call("GET", f"/api/messages/{letter}")).json
    assert story["timeline"][-1]["what"] == "dead"
    assert (story["timeline"][-1]["code"], story["timeline"][-1]["detail"]) == ("131047", "window closed")


@pytest.mark.parametrize("message_id", ["0", "-1", "999999999999", str(2**63), "9" * 40, "x"])
async def test_a_message_that_is_not_there_is_404(gateway: Gateway, message_id: str) -> None:
    assert (await gateway.call("GET", f"/api/messages/{message_id}")).status == 404
