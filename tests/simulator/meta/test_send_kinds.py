"""Sending places, cards, reactions and interactive messages on the Graph API: what Meta refuses, what the phone keeps,
and how a customer answers."""

from typing import Any

import aiohttp
import pytest

from tests.simulator.stage import ANA, NUMBER, Json, Stage

MEDIA_FORM = {"messaging_product": "whatsapp", "type": "image/jpeg"}


def reply(id_: str, title: str) -> Json:
    return {"type": "reply", "reply": {"id": id_, "title": title}}


def row(id_: str, title: str = "09:00", **more: Any) -> Json:
    return {"id": id_, "title": title} | more


def buttons(*replies: Json, **more: Any) -> Json:
    action = {"buttons": list(replies or (reply("yes", "Sim"), reply("no", "Não")))}
    return {"type": "button", "body": {"text": "Confirma?"}, "action": action} | more


def a_list(*sections: Json, **more: Any) -> Json:
    shown = list(sections or ({"title": "Manhã", "rows": [row("s0900"), row("s1000", "10:00")]},))
    action = {"button": "Ver horários", "sections": shown}
    return {"type": "list", "body": {"text": "Escolha"}, "action": action} | more


def a_link(**parameters: Any) -> Json:
    told = {"display_text": "Ver", "url": "https://ex.com/p"} | parameters
    return {"type": "cta_url", "body": {"text": "Pedido"}, "action": {"name": "cta_url", "parameters": told}}


ASKED = {"type": "location_request_message", "body": {"text": "Onde?"}, "action": {"name": "send_location"}}


def a_flow(**parameters: Any) -> Json:
    told = {"flow_message_version": "3", "flow_token": "t-1", "flow_id": "12", "flow_cta": "Abrir"} | parameters
    return {"type": "flow", "body": {"text": "Cadastro"}, "action": {"name": "flow", "parameters": told}}


def of(kind: str, content: Any, **more: Any) -> Json:
    return {"messaging_product": "whatsapp", "to": f"+{ANA}", "type": kind, kind: content} | more


PICTURE = {"type": "image", "image": {"id": "1"}}
PLACE = {"latitude": "-25.4296", "longitude": -49.2719, "name": "Loja"}
CARD = {"name": {"formatted_name": "Suporte", "first_name": "Suporte"}, "phones": [{"phone": "+551140041234"}]}
REFUSED: dict[str, tuple[Json, int]] = {
    "a kind that is only received": (of("order", {}), 131051),
    "a place without longitude": (of("location", {"latitude": 1}), 131008),
    "a place in words": (of("location", PLACE | {"latitude": "north"}), 100),
    "a place beyond the pole": (of("location", PLACE | {"latitude": 91}), 131009),
    "no card": (of("contacts", []), 131009),
    "258 cards": (of("contacts", [CARD] * 258), 131009),
    "a card without a name": (of("contacts", [{"phones": []}]), 131008),
    "a card with the whole name alone": (of("contacts", [{"name": {"formatted_name": "S"}}]), 131009),
    "a birthday in words": (of("contacts", [CARD | {"birthday": "in May"}]), 131009),
    "a reaction to nothing": (of("reaction", {"emoji": "👍"}), 131008),
    "a reaction to another thread": (of("reaction", {"message_id": "wamid.x", "emoji": "👍"}), 131009),
    "a reaction in words": (of("reaction", {"message_id": "wamid.x", "emoji": "ok"}), 131009),
    "a quote of nothing": (of("text", {"body": "oi"}, context={"message_id": "wamid.x"}), 131009),
    "an unknown interactive": (of("interactive", buttons(type="dance")), 100),
    "no body": (of("interactive", {"type": "button", "action": {}}), 131008),
    "a body of 1025": (of("interactive", buttons(body={"text": "x" * 1025})), 131009),
    "a footer of 61": (of("interactive", buttons(footer={"text": "x" * 61})), 131009),
    "a header of 61": (of("interactive", buttons(header={"type": "text", "text": "x" * 61})), 131009),
    "a header of sound": (of("interactive", buttons(header={"type": "audio", "audio": {"id": "1"}})), 100),
    "a header without its file": (of("interactive", buttons(header={"type": "image"})), 131008),
    "a header of a file not there": (of("interactive", buttons(header=PICTURE)), 100),
    "four buttons": (of("interactive", buttons(*(reply(str(n), f"B{n}") for n in range(4)))), 131009),
    "a title of 21": (of("interactive", buttons(reply("1", "x" * 21))), 131009),
    "two of one title": (of("interactive", buttons(reply("1", "Sim"), reply("2", "Sim"))), 131009),
    "two of one id": (of("interactive", buttons(reply("1", "Sim"), reply("1", "Não"))), 131009),
    "an id of 257": (of("interactive", buttons(reply("1" * 257, "Sim"))), 131009),
    "a list with a picture": (of("interactive", a_list(header=PICTURE)), 131009),
    "eleven rows": (of("interactive", a_list(*({"title": str(n), "rows": [row(f"{n}{m}") for m in range(4)]}
                                               for n in range(3)))), 131009),
    "two sections without titles": (of("interactive", a_list({"rows": [row("1")]}, {"rows": [row("2")]})), 131008),
    "rows of one id": (of("interactive", a_list({"title": "A", "rows": [row("1"), row("1")]})), 131009),
    "a row's title of 25": (of("interactive", a_list({"title": "A", "rows": [row("1", "x" * 25)]})), 131009),
    "72 and one more": (of("interactive", a_list({"title": "A", "rows": [row("1", description="x" * 73)]})), 131009),
    "a label of 21": (of("interactive", a_link(display_text="x" * 21)), 131009),
    "a link to nowhere": (of("interactive", a_link(url="ex.com")), 131009),
    "a flow of version 2": (of("interactive", a_flow(flow_message_version="2")), 131009),
    "a flow without its id": (of("interactive", a_flow(flow_id="")), 131008),
    "a flow without its screen": (of("interactive", a_flow(flow_action_payload={"data": {}})), 131008),
}  # fmt: skip


async def sent(stage: Stage, number: Json, body: Json) -> tuple[int, Json]:
    return await stage.graph(f"{NUMBER}/messages", body, number["access_token"])


async def phone(stage: Stage) -> list[Json]:
    messages: list[Json] = (await stage.control("GET", "state"))["phones"][0]["messages"]
    return messages


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_wrong_with_a_message_is_told_by_its_code(stage: Stage, name: str) -> None:
    body, code = REFUSED[name]
    _, number = await stage.demo()
    await stage.ana_writes()

    status, answer = await sent(stage, number, body)

    assert (status, answer["error"]["code"]) == (400, code)


GOOD: dict[str, tuple[str, Any]] = {
    "a place": ("location", PLACE),
    "cards": ("contacts", [CARD]),
    "buttons": ("interactive", buttons(header={"type": "text", "text": "Visita"}, footer={"text": "Loja Azul"})),
    "a list": ("interactive", a_list()),
    "a list without a section's title": ("interactive", a_list({"rows": [row("1")]})),
    "a link": ("interactive", a_link()),
    "a request for a place": ("interactive", ASKED),
    "a flow": ("interactive", a_flow(flow_action="navigate", flow_action_payload={"screen": "START"})),
}


@pytest.mark.parametrize("name", GOOD)
async def test_the_phone_keeps_a_message_by_metas_own_names_with_all_its_parts(stage: Stage, name: str) -> None:
    kind, content = GOOD[name]
    _, number = await stage.demo()
    wamid = await stage.ana_writes()

    status, _ = await sent(stage, number, of(kind, content, context={"message_id": wamid}))

    assert status == 200
    kept = (await phone(stage))[-1]
    assert (kept["type"], kept[kind], kept["context"]) == (kind, content, {"message_id": wamid})


async def test_a_header_with_a_picture_is_kept_with_its_file(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    media_id = await uploaded(stage, number, "visita.jpg")

    status, _ = await sent(
        stage, number, of("interactive", buttons(header={"type": "image", "image": {"id": media_id}}))
    )

    assert status == 200
    assert (await phone(stage))[-1]["file"]["name"] == "visita.jpg"


async def uploaded(stage: Stage, number: Json, name: str) -> str:
    form = aiohttp.FormData(MEDIA_FORM)
    form.add_field("file", b"\xff\xd8\xff\xe0", filename=name, content_type="image/jpeg")
    headers = {"Authorization": f"Bearer {number['access_token']}"}
    async with stage.http.post(f"{stage.url}/meta/v26.0/{NUMBER}/media", data=form, headers=headers) as response:
        return str((await response.json())["id"])


@pytest.mark.parametrize("emoji", ["👍", "❤️", "👨‍👩‍👧‍👦", "🇧🇷", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", ""])
async def test_a_reaction_is_told_as_sent_and_no_more(stage: Stage, emoji: str) -> None:
    _, number = await stage.demo()
    wamid = await stage.ana_writes()

    status, answer = await sent(stage, number, of("reaction", {"message_id": wamid, "emoji": emoji}))

    assert status == 200
    reaction_id = answer["messages"][0]["id"]
    assert (await phone(stage))[-1]["reaction"] == {"message_id": wamid, "emoji": emoji}
    await sent(stage, number, of("text", {"body": "depois"}))
    await stage.until(lambda: [s for s in stage.listener.values("statuses") if s["status"] == "delivered"])
    assert [s["status"] for s in stage.listener.values("statuses") if s["id"] == reaction_id] == ["sent"]


async def test_a_reaction_to_a_message_of_31_days_is_refused(stage: Stage) -> None:
    _, number = await stage.demo()
    old = await stage.ana_writes(hours_ago=31 * 24)
    await stage.ana_writes("de novo")

    status, answer = await sent(stage, number, of("reaction", {"message_id": old, "emoji": "👍"}))

    assert (status, answer["error"]["code"]) == (400, 131009)


ANSWERED: dict[str, tuple[Json, Json, Json]] = {
    "a button by its title": (
        buttons(),
        {"choice": "Não"},
        {"type": "button_reply", "button_reply": {"id": "no", "title": "Não"}},
    ),
    "a row by its id": (
        a_list({"title": "A", "rows": [row("s1", "10:00", description="Dra. Paula")]}),
        {"choice": "s1"},
        {"type": "list_reply", "list_reply": {"id": "s1", "title": "10:00", "description": "Dra. Paula"}},
    ),
}


@pytest.mark.parametrize("name", ANSWERED)
async def test_a_customer_presses_what_is_offered_and_her_answer_names_the_message(stage: Stage, name: str) -> None:
    offered, wanted, told = ANSWERED[name]
    _, number = await stage.demo()
    await stage.ana_writes()
    _, answer = await sent(stage, number, of("interactive", offered))

    await stage.control("POST", "customers/answer", {"phone_number_id": NUMBER, "from": ANA, **wanted})

    heard = await stage.until(lambda: [m for m in stage.listener.values("messages") if m["type"] == "interactive"])
    assert heard[0]["interactive"] == told
    assert heard[0]["context"]["id"] == answer["messages"][0]["id"]


async def test_a_customer_answers_a_request_with_her_place_and_a_form_with_its_fields(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    _, asked = await sent(stage, number, of("interactive", ASKED))
    _, form = await sent(stage, number, of("interactive", a_flow()))
    who = {"phone_number_id": NUMBER, "from": ANA}

    place = {"to": asked["messages"][0]["id"], "latitude": -25.5, "longitude": -49.25}
    await stage.control("POST", "customers/answer", who | place)
    await stage.control("POST", "customers/answer", who | {"response": {"nome": "Ana"}})

    heard = await stage.until(lambda: ms if len(ms := stage.listener.values("messages")) == 3 else None)
    assert heard[1]["location"] == {"latitude": -25.5, "longitude": -49.25}
    assert heard[1]["context"]["id"] == asked["messages"][0]["id"]
    assert heard[2]["interactive"]["nfm_reply"]["response_json"] == '{"nome": "Ana", "flow_token": "t-1"}'
    assert heard[2]["context"]["id"] == form["messages"][0]["id"]


async def test_what_a_message_does_not_offer_cannot_be_chosen(stage: Stage) -> None:
    _, number = await stage.demo()
    await stage.ana_writes()
    who = {"phone_number_id": NUMBER, "from": ANA}
    await stage.control("POST", "customers/answer", who | {"choice": "Sim"}, status=404)
    await sent(stage, number, of("interactive", buttons()))

    answer = await stage.control("POST", "customers/answer", who | {"choice": "Talvez"}, status=400)

    assert "Sim, Não" in answer["error"]
