"""Dead letters, conversations and events: what an admin looks through and puts on its way again."""

from uuid import UUID, uuid4

import pytest

from tests.web.gateway import (
    Gateway,
    Json,
    a_channel,
    a_conversation,
    a_letter,
    a_message,
    a_new_pair,
    a_request_id,
    a_webhook,
)


@pytest.fixture
async def channel(gateway: Gateway) -> Json:
    return await gateway.channel((await gateway.portal())["id"])


@pytest.fixture
async def conversation(gateway: Gateway, channel: Json) -> str:
    return await a_conversation(gateway, channel)


async def states(gateway: Gateway, *ids: int) -> list[str]:
    rows = await gateway.rows("SELECT state FROM message WHERE id = ANY($1) ORDER BY id", list(ids))
    return [row["state"] for row in rows]


async def test_a_dead_letter_is_listed_with_its_reason(gateway: Gateway, channel: Json, conversation: str) -> None:
    letter = await a_letter(gateway, channel, conversation)
    page = (await gateway.call("GET", f"/api/dead-letters?portal_id={channel['portal_id']}")).json
    assert [item["id"] for item in page["items"]] == [letter]
    assert (page["items"][0]["error_code"], page["items"][0]["state"]) == ("131047", "dead")
    assert "text" not in page["items"][0]


@pytest.mark.parametrize(
    ("query", "headers", "operator", "admin"),
    [
        ("", {}, "faz mais de 24 horas", "Fora das 24 horas"),
        ("", {"Accept-Language": "fr;q=0.9, pt;q=0.4, en-US;q=0.8"}, "more than 24 hours", "Outside the 24 hours"),
        ("&lang=en", {"Accept-Language": "pt-BR"}, "more than 24 hours", "Outside the 24 hours"),
        ("", {"Accept-Language": "*, xx-;q=x,,"}, "faz mais de 24 horas", "Fora das 24 horas"),
    ],
)
async def test_a_dead_letter_is_explained_in_the_language_that_was_asked_for(
    gateway: Gateway, channel: Json, conversation: str, query: str, headers: Json, operator: str, admin: str
) -> None:
    line = '{"type": "notice", "code": "window_closed_templates", "params": {"code": "131047", "templates": "• aviso"}}'
    said = await a_letter(gateway, channel, conversation, state="sent", error_code=None)
    await gateway.rows("UPDATE message SET kind = 'notice', content = $2::jsonb WHERE id = $1", said, line)
    letter = await a_letter(gateway, channel, conversation, notice_id=said)
    page = await gateway.call("GET", f"/api/dead-letters?portal_id={channel['portal_id']}{query}", headers=headers)
    story = await gateway.call("GET", f"/api/messages/{letter}?{query}", headers=headers)
    told = page.json["items"][0]["explanation"]
    assert told == story.json["explanation"]
    assert (told["code"], told["kind"]) == ("131047", "refused")
    assert operator in told["operator"]
    assert told["operator"].endswith("• aviso")
    assert told["notice"] == "window_closed_templates"
    assert told["admin"].startswith(admin)
    assert told["page"].startswith("https://developers.facebook.com/")


async def test_a_message_is_explained_in_its_portals_language_when_nobody_asks_for_another(gateway: Gateway) -> None:
    """Also in a list over portals: each as its operators were told."""
    letters: dict[int, str] = {}
    for locale in ("en", "pt-BR"):
        portal = await gateway.portal()
        await gateway.call("PUT", f"/api/portals/{portal['id']}", {"locale": locale})
        channel = await gateway.channel(portal["id"])
        letters[await a_letter(gateway, channel, await a_conversation(gateway, channel))] = locale
    listed = (await gateway.call("GET", "/api/dead-letters?limit=50")).json["items"]
    assert {one["id"]: one["explanation"]["language"] for one in listed if one["id"] in letters} == letters
    for letter, locale in letters.items():
        assert (await gateway.call("GET", f"/api/messages/{letter}")).json["explanation"]["language"] == locale
    listed = (await gateway.call("GET", "/api/dead-letters?limit=50", headers={"Accept-Language": "en-GB"})).json[
        "items"
    ]
    assert {one["explanation"]["language"] for one in listed} == {"en"}


async def test_where_nobody_was_told_nothing_is_said_to_have_been_told(
    gateway: Gateway, channel: Json, conversation: str
) -> None:
    letter = await a_letter(gateway, channel, conversation)
    told = (await gateway.call("GET", f"/api/messages/{letter}")).json["explanation"]
    assert (told["operator"], told["notice"]) == (None, None)
    assert told["admin"]


async def test_an_unknown_language_is_refused(gateway: Gateway) -> None:
    assert (await gateway.call("GET", "/api/dead-letters?lang=xx")).status in {400, 422}


async def test_what_is_delivered_has_nothing_to_explain(gateway: Gateway, channel: Json, conversation: str) -> None:
    sent = await a_letter(gateway, channel, conversation, state="sent")
    assert (await gateway.call("GET", f"/api/messages/{sent}")).json["explanation"] is None


@pytest.mark.parametrize(("fate", "state"), [("revive", "pending"), ("dismiss", "dismissed")])
async def test_one_dead_letter_is_moved_once(
    gateway: Gateway, channel: Json, conversation: str, fate: str, state: str
) -> None:
    letter = await a_letter(gateway, channel, conversation, attempts=5)
    reply = await gateway.call("POST", f"/api/dead-letters/{letter}/{fate}")
    assert (reply.status, reply.json) == (200, {"id": letter, "state": state})
    (row,) = await gateway.rows("SELECT state, attempts FROM message WHERE id = $1", letter)
    assert row == {"state": state, "attempts": 0 if fate == "revive" else 5}
    assert (await gateway.call("POST", f"/api/dead-letters/{letter}/{fate}")).status == 404


async def test_many_are_moved_and_those_that_are_not_dead_are_named(
    gateway: Gateway, channel: Json, conversation: str
) -> None:
    dead = [await a_letter(gateway, channel, conversation) for _ in range(3)]
    sent = await a_letter(gateway, channel, conversation, state="sent")
    reply = await gateway.call("POST", "/api/dead-letters/revive", {"ids": [*dead, sent]})
    assert reply.json == {"count": 3, "ids": dead, "not_dead": [sent]}
    assert await states(gateway, *dead, sent) == ["pending"] * 3 + ["sent"]


async def test_all_of_one_portal_are_moved_and_no_others(gateway: Gateway, channel: Json, conversation: str) -> None:
    mine = [await a_letter(gateway, channel, conversation) for _ in range(3)]
    other = await gateway.channel((await gateway.portal())["id"])
    theirs = await a_letter(gateway, other, await a_conversation(gateway, other))
    body = {"all": True, "portal_id": channel["portal_id"]}
    reply = await gateway.call("POST", "/api/dead-letters/dismiss", body)
    assert reply.json["count"] == 3
    assert await states(gateway, *mine, theirs) == ["dismissed"] * 3 + ["dead"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": []},
        {"ids": [0]},
        {"ids": [2**63]},
        {"ids": ["1"]},
        {"ids": list(range(1, 1002))},
        {"all": False},
        {"all": True, "ids": [1]},
        {"ids": [1], "portal_id": "x"},
    ],
)
async def test_a_choice_that_is_none_is_refused(gateway: Gateway, body: Json) -> None:
    assert (await gateway.call("POST", "/api/dead-letters/revive", body)).status == 422


async def test_moves_are_audited(gateway: Gateway, channel: Json, conversation: str) -> None:
    letter = await a_letter(gateway, channel, conversation)
    await gateway.call("POST", f"/api/dead-letters/{letter}/revive")
    (line,) = await gateway.rows("SELECT action FROM audit WHERE subject = $1", f"message {letter}")
    assert line["action"] == "letter.revive"


async def test_dead_letters_come_in_pages(gateway: Gateway, channel: Json, conversation: str) -> None:
    made = [await a_letter(gateway, channel, conversation) for _ in range(5)]
    path, seen = f"/api/dead-letters?portal_id={channel['portal_id']}&limit=2", []
    page = (await gateway.call("GET", path)).json
    seen += page["items"]
    while page["next_cursor"]:
        page = (await gateway.call("GET", f"{path}&cursor={page['next_cursor']}")).json
        seen += page["items"]
    assert [item["id"] for item in seen] == made[::-1]


async def test_conversations_come_in_pages_the_latest_first(gateway: Gateway, channel: Json) -> None:
    made = [await a_conversation(gateway, channel, contact_name=f"Ana {n}") for n in range(5)]
    path, seen = f"/api/conversations?channel_id={channel['id']}&limit=2", []
    page = (await gateway.call("GET", path)).json
    seen += page["items"]
    while page["next_cursor"]:
        page = (await gateway.call("GET", f"{path}&cursor={page['next_cursor']}")).json
        seen += page["items"]
    assert [item["id"] for item in seen] == made[::-1]
    assert seen[0]["contact_name"] == "Ana 4"
    assert seen[0]["meta_whatsapp_id"]


async def test_a_conversations_messages_come_newest_first(gateway: Gateway, channel: Json, conversation: str) -> None:
    made = [await a_letter(gateway, channel, conversation, state="sent") for _ in range(3)]
    path = f"/api/conversations/{conversation}/messages?limit=2"
    first = (await gateway.call("GET", path)).json
    rest = (await gateway.call("GET", f"{path}&cursor={first['next_cursor']}")).json
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


async def test_a_conversation_that_is_not_there_is_404(gateway: Gateway) -> None:
    assert (await gateway.call("GET", f"/api/conversations/{uuid4()}/messages")).status == 404


async def test_an_unroutable_event_is_listed_without_its_words_and_replayed(gateway: Gateway) -> None:
    request_id = a_request_id()
    await gateway.meta(a_webhook(a_message(f"wamid.{request_id}", "private words")), request_id=request_id)
    await gateway.rows("UPDATE event SET state = 'unroutable', reason = 'nobody' WHERE request_id = $1", request_id)
    reply = await gateway.call("GET", "/api/events?state=unroutable&limit=1")
    (event,) = reply.json["items"]
    assert (event["request_id"], event["reason"], event["name"]) == (request_id, "nobody", "messages.text")
    assert b"private words" not in reply.body
    replayed = await gateway.call("POST", f"/api/events/{event['id']}/replay")
    assert (replayed.status, replayed.json) == (200, {"id": event["id"], "state": "new"})
    (row,) = await gateway.events(request_id)
    assert row["state"] == "new"
    assert (await gateway.call("POST", f"/api/events/{event['id']}/replay")).status == 404


async def test_events_in_another_state_are_not_listed(gateway: Gateway) -> None:
    assert (await gateway.call("GET", "/api/events?state=routed")).status == 422


# --- one portal's key ------------------------------------------------------------------------------------------------


async def test_a_portals_key_sees_and_touches_only_its_own(gateway: Gateway, channel: Json, conversation: str) -> None:
    letter = await a_letter(gateway, channel, conversation)
    own = await gateway.channel((await gateway.portal())["id"])
    own_talk = await a_conversation(gateway, own)
    own_letter = await a_letter(gateway, own, own_talk)
    key = await gateway.key_for(own["portal_id"])

    for path, expected in (
        ("portals", own["portal_id"]),
        ("channels", own["id"]),
        ("conversations", own_talk),
        ("dead-letters", own_letter),
    ):
        for query in ("",) if path == "portals" else ("", f"?portal_id={channel['portal_id']}"):
            items = (await gateway.call("GET", f"/api/{path}{query}", key=key)).json["items"]
            assert [item["id"] for item in items] == [expected]
    assert (await gateway.call("GET", f"/api/conversations?channel_id={channel['id']}", key=key)).json["items"] == []

    strange: list[tuple[str, str, Json | None]] = [
        ("GET", f"portals/{channel['portal_id']}", None),
        ("PUT", f"portals/{channel['portal_id']}", {"locale": "en"}),
        ("DELETE", f"portals/{channel['portal_id']}", None),
        ("GET", f"channels/{channel['id']}", None),
        ("PUT", f"channels/{channel['id']}", {"name": "x"}),
        ("DELETE", f"channels/{channel['id']}", None),
        ("GET", f"conversations/{conversation}/messages", None),
        ("GET", f"messages/{letter}", None),
        ("POST", f"dead-letters/{letter}/revive", None),
        ("POST", f"dead-letters/{letter}/dismiss", None),
        ("POST", "dead-letters/revive", {"all": True, "portal_id": channel["portal_id"]}),
        ("POST", "messages/text", {"conversation_id": conversation, "text": "oi"}),
        ("POST", "messages/text", {"channel_id": channel["id"], "to": "+5541988887777", "text": "oi"}),
    ]
    for method, path, body in strange:
        reply = await gateway.call(method, f"/api/{path}", body, key=key)
        assert reply.status == 404, (method, path, reply)
    moved = (await gateway.call("POST", "/api/dead-letters/revive", {"ids": [letter, own_letter]}, key=key)).json
    assert moved == {"count": 1, "ids": [own_letter], "not_dead": [letter]}
    assert await states(gateway, letter) == ["dead"]


async def test_what_is_for_admins_is_refused_to_a_portals_key(gateway: Gateway, channel: Json) -> None:
    key = await gateway.key_for(channel["portal_id"])
    for method, path, body in (
        ("POST", "portals", {}),
        ("GET", "events", None),
        ("POST", "events/1/replay", None),
        ("PUT", f"portals/{channel['portal_id']}", {"client_endpoint": "http://127.0.0.1:1/rest/"}),
        ("PUT", f"portals/{channel['portal_id']}", {"portal_url": "http://10.0.0.1"}),
        ("PUT", f"portals/{channel['portal_id']}", {"oauth_host": None}),
    ):
        reply = await gateway.call(method, f"/api/{path}", body, key=key)
        assert reply.status == 403, (method, path, reply)
        assert reply.problem["type"] == "urn:zaptrix:problem:forbidden"


async def test_a_portals_key_repairs_its_portal_and_makes_channels(gateway: Gateway) -> None:
    portal = await gateway.portal()
    key = await gateway.key_for(portal["id"])
    assert (await gateway.call("PUT", f"/api/portals/{portal['id']}", a_new_pair(portal), key=key)).status == 200
    other = await gateway.portal()
    assert (await gateway.call("POST", "/api/channels", a_channel(portal["id"]), key=key)).status == 201
    assert (await gateway.call("POST", "/api/channels", a_channel(other["id"]), key=key)).status == 404


async def test_a_revoked_key_opens_nothing(gateway: Gateway) -> None:
    portal = await gateway.portal()
    key = await gateway.key_for(portal["id"])
    await gateway.rows("UPDATE api_key SET revoked_at = now() WHERE portal_id = $1", UUID(portal["id"]))
    assert (await gateway.call("GET", "/api/portals", key=key)).status == 401
