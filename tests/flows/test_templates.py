"""Templates over HTTP, with a Graph API that knows nothing of our check at the far end."""

from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_recovery import notices

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA = "+55 41 98888-7777"
Json = dict[str, Any]

BODY = {"type": "BODY", "text": "Olá {{1}}, sua consulta é às {{2}}."}
NAMED_BODY = {"type": "BODY", "text": "{{nome}}, a consulta é às {{hora}}."}
BUTTONS = {
    "type": "BUTTONS",
    "buttons": [
        {"type": "QUICK_REPLY", "text": "Confirmar"},
        {"type": "URL", "text": "Ver", "url": "https://ex.com/{{1}}"},
        {"type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+551140041234"},
        {"type": "COPY_CODE", "text": "Copiar"},
        {"type": "FLOW", "text": "Abrir"},
    ],
}
CARD = {
    "components": [
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BODY", "text": "Camisa {{1}}"},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://ex.com/{{1}}"}]},
    ]
}
OTP = {"type": "URL", "text": "Copiar código", "url": "https://www.whatsapp.com/otp/code/?code=otp{{1}}"}
TEMPLATES: dict[str, Json] = {
    "simples": {"components": [{"type": "BODY", "text": "Seu pedido saiu."}, {"type": "FOOTER", "text": "Loja Azul"}]},
    "posicional": {"components": [BODY]},
    "nomeado": {
        "components": [{"type": "HEADER", "format": "TEXT", "text": "Oi, {{nome}}"}, NAMED_BODY],
        "parameter_format": "NAMED",
    },
    "arquivo": {"components": [{"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Seu boleto."}]},
    "lugar": {"components": [{"type": "HEADER", "format": "LOCATION"}, {"type": "BODY", "text": "Estamos aqui."}]},
    "botoes": {"components": [{"type": "BODY", "text": "Confirma?"}, BUTTONS]},
    "carrossel": {
        "components": [{"type": "BODY", "text": "Novidades"}, {"type": "CAROUSEL", "cards": [CARD, CARD]}],
        "category": "MARKETING",
    },
    "codigo": {
        "components": [{"type": "BODY", "text": "*{{1}}* é o seu código."}, {"type": "BUTTONS", "buttons": [OTP]}],
        "category": "AUTHENTICATION",
    },
    "oferta": {
        "components": [
            {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Só hoje", "has_expiration": True}},
            {"type": "BODY", "text": "Corra!"},
        ],
        "category": "MARKETING",
    },
}


def card(name: str) -> Json:
    return {
        "header": {"image": {"link": f"https://ex.com/{name}.png"}},
        "body": [name],
        "buttons": [{"index": 0, "text": name}],
    }


# What is filled in, and what the phone shows then.
SENDS: dict[str, tuple[Json, str]] = {
    "simples": ({}, "Seu pedido saiu.\nLoja Azul"),
    "posicional": ({"body": ["Ana", "09:30"]}, "Olá Ana, sua consulta é às 09:30."),
    "nomeado": (
        {"header": {"text": "Ana"}, "body": {"hora": "09:30", "nome": "Ana"}},
        "Oi, Ana\nAna, a consulta é às 09:30.",
    ),
    "arquivo": ({"header": {"document": {"id": "1037543291543636", "filename": "b.pdf"}}}, "[document]\nSeu boleto."),
    "lugar": ({"header": {"location": {"latitude": -25.4296, "longitude": -49.2719}}}, "[location]\nEstamos aqui."),
    "botoes": (
        {
            "buttons": [
                {"index": 0, "payload": "sim_991"},
                {"index": 1, "text": "991"},
                {"index": 3, "coupon_code": "OFF10"},
                {"index": 4, "flow_token": "tok-1", "flow_data": {"k": "v"}},
            ]
        },
        "Confirma?",
    ),
    "carrossel": (
        {"cards": [card("azul"), card("preta")]},
        "Novidades\n- [image] Camisa azul [Ver]\n- [image] Camisa preta [Ver]",
    ),
    "codigo": ({"code": "482913"}, "*482913* é o seu código."),
    "oferta": ({"offer_expires_at_ms": 1_894_300_000_000}, "Corra!"),
}  # fmt: skip


async def with_account(world: World, **templates: Json) -> Tenant:
    """A tenant whose number has an account of its own, with these templates."""
    tenant = await world.tenant(own_account=True)
    for name, template in templates.items():
        await world.control("POST", "templates", {"phone_number_id": tenant.number, "name": name, **template})
    return tenant


async def listed(tenant: Tenant, **query: str) -> list[Json]:
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    path = f"/api/messages/templates?channel_id={tenant.channel_id}{asked}"
    items: list[Json] = []
    cursor = ""
    while True:
        told = await tenant.world.api("GET", path + cursor)
        items += told["items"]
        if told["next_cursor"] is None:
            return items
        cursor = f"&cursor={told['next_cursor']}"


async def send(tenant: Tenant, name: str, filling: Json, *, status: int = 202, **more: Any) -> Json:
    body = {"channel_id": str(tenant.channel_id), "to": ANA, "name": name, **filling, **more}
    told: Json = await tenant.world.api("POST", "/api/messages/template", body, status=status)
    return told


async def change(tenant: Tenant, name: str, **changes: Any) -> None:
    await tenant.world.control("POST", "templates/change", {"phone_number_id": tenant.number, "name": name, **changes})


async def on_phone(tenant: Tenant, count: int = 1) -> list[Json]:
    async def there() -> bool:
        return len(await tenant.on_phone()) >= count

    await eventually(there, 15, f"{count} messages on the phone")
    return await tenant.on_phone()


@pytest.mark.parametrize("name", SENDS)
async def test_a_template_is_checked_sent_and_shown(world: World, name: str) -> None:
    tenant = await with_account(world, **{name: TEMPLATES[name]})
    filling, shown = SENDS[name]

    queued = await send(tenant, name, filling)

    (message,) = await on_phone(tenant)
    assert message["text"] == shown
    story = await world.api("GET", f"/api/messages/{queued['id']}")
    assert story["message"]["kind"] == "template"
    assert "482913" not in story["text"]
    if name == "botoes":
        assert [button["type"] for button in message["buttons"]] == [
            "quick_reply", "url", "phone_number", "copy_code", "flow",
        ]  # fmt: skip
        assert message["buttons"][0]["payload"] == "sim_991"
        assert message["buttons"][1]["url"] == "https://ex.com/991"


async def test_the_operator_sees_in_the_chat_what_the_customer_was_sent(world: World) -> None:
    tenant = await with_account(world, posicional=TEMPLATES["posicional"])
    await tenant.opened()
    await send(tenant, "posicional", {"body": ["Ana", "09:30"]})
    await on_phone(tenant)

    async def told() -> bool:
        return await notices(tenant, "554188887777") == [
            "Enviado ao cliente pela integração: Olá Ana, sua consulta é às 09:30."
        ]

    await eventually(told, 15, "the line in the chat")


@pytest.mark.parametrize(
    ("name", "filling", "field", "code"),
    [
        ("posicional", {"body": ["Ana"]}, "/body", "count"),
        ("posicional", {"body": ["Ana", "a\nb"]}, "/body/1", "line_or_tab"),
        ("nomeado", {"header": {"text": "Ana"}, "body": {"nome": "Ana"}}, "/body/hora", "missing"),
        ("arquivo", {}, "/header/document", "missing"),
        ("botoes", {"buttons": [{"index": 3, "coupon_code": "X"}]}, "/buttons/1/text", "missing"),
        ("carrossel", {"cards": [card("azul")]}, "/cards", "count"),
        ("codigo", {"body": ["482913"]}, "", "code_alone"),
    ],
)
async def test_what_does_not_fit_is_refused_with_the_field_named_before_meta_is_asked(
    world: World, name: str, filling: Json, field: str, code: str
) -> None:
    tenant = await with_account(world, **{name: TEMPLATES[name]})
    told = await send(tenant, name, filling, status=422)
    assert told["type"] == "urn:zaptrix:problem:template-does-not-fit"
    assert (field, code) in [(error["field"], error["code"]) for error in told["errors"]]
    assert all(error["message"] for error in told["errors"])
    assert await tenant.on_phone() == []


async def test_a_template_that_is_not_there_is_told_with_its_languages(world: World) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    told = await send(tenant, "simples", {}, language="en_US", status=422)
    assert [(error["field"], error["code"]) for error in told["errors"]] == [("/language", "no_such_template")]
    assert "pt_BR" in told["errors"][0]["message"]
    told = await send(tenant, "outro", {}, status=422)
    assert [error["field"] for error in told["errors"]] == ["/name"]


async def test_one_key_sends_once_even_when_meta_stops_the_template_meanwhile(world: World) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    body = {"channel_id": str(tenant.channel_id), "to": ANA, "name": "simples"}
    headers = {"Authorization": f"Bearer {world.admin_key}", "Idempotency-Key": f"once-{tenant.number}"}

    async def post(**more: Any) -> tuple[int, Json]:
        url = f"{world.url}/api/messages/template"
        async with world.session.post(url, json=body | more, headers=headers) as answer:
            return answer.status, await answer.json()

    first = await post()
    await on_phone(tenant)
    await change(tenant, "simples", status="PAUSED")
    await eventually(lambda: is_now(tenant, "simples", "PAUSED"), 15, "the pause to be known")
    again = await post()
    assert first == again
    assert first[0] == 202
    assert (await post(language="pt_BR"))[0] == 422  # another body under the same key
    await world.drained()
    assert len(await on_phone(tenant)) == 1


async def is_now(tenant: Tenant, name: str, status: str) -> bool:
    return [one["status"] for one in await listed(tenant, status="ALL", name=name)] == [status]


async def test_all_pages_are_listed_and_filtered(world: World) -> None:
    many = {f"aviso_{number:03d}": TEMPLATES["simples"] for number in range(250)}
    tenant = await with_account(
        world, **many, pausado=TEMPLATES["simples"] | {"status": "PAUSED"}, codigo=TEMPLATES["codigo"]
    )
    names = [one["name"] for one in await listed(tenant, limit="200")]
    assert names == sorted([*many, "codigo"])
    assert [one["name"] for one in await listed(tenant, status="PAUSED")] == ["pausado"]
    assert [one["name"] for one in await listed(tenant, category="AUTHENTICATION")] == ["codigo"]
    assert len(await listed(tenant, status="ALL", limit="200")) == 252


async def test_a_list_is_asked_of_meta_once_and_again_after_a_webhook(world: World) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    assert [one["quality"] for one in await listed(tenant)] == ["UNKNOWN"]
    # Without a word of Meta's nobody asks again.
    await world.control("POST", "templates", {"phone_number_id": tenant.number, "name": "novo", **TEMPLATES["simples"]})
    assert [one["name"] for one in await listed(tenant)] == ["simples"]

    await change(tenant, "simples", quality="RED", category="MARKETING")

    async def known() -> bool:
        found = {one["name"]: (one["quality"], one["category"]) for one in await listed(tenant)}
        return found == {"simples": ("RED", "MARKETING"), "novo": ("UNKNOWN", "UTILITY")}

    await eventually(known, 15, "what Meta changed")

    async def both_told() -> bool:
        told = await world.api("GET", f"/api/messages/templates/changes?channel_id={tenant.channel_id}")
        return {(one["name"], one["what"], one["old"], one["new"]) for one in told["items"]} == {
            ("simples", "category", "UTILITY", "MARKETING"),
            ("simples", "quality", "UNKNOWN", "RED"),
        }

    await eventually(both_told, 15, "both changes")


async def test_a_template_that_meta_edits_is_checked_as_it_is_now(world: World) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    await send(tenant, "simples", {})
    await on_phone(tenant)
    await change(tenant, "simples", components=[BODY])

    async def known() -> bool:
        return [one["variables"] for one in await listed(tenant)] == [["1", "2"]]

    await eventually(known, 15, "the new components")
    assert (await send(tenant, "simples", {}, status=422))["errors"][0]["field"] == "/body"
    await send(tenant, "simples", {"body": ["Ana", "9h"]})
    assert [one["text"] for one in await on_phone(tenant, 2)][1] == "Olá Ana, sua consulta é às 9h."


def new_template(tenant: Tenant) -> Json:
    return {
        "channel_id": str(tenant.channel_id),
        "name": "entrega",
        "language": "pt_BR",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Seu pedido saiu para entrega."}],
    }


async def test_a_template_is_created_reviewed_sent_and_deleted(world: World) -> None:
    tenant = await with_account(world)
    wanted = new_template(tenant)
    created = await world.api("POST", "/api/messages/templates", wanted, status=201)
    assert created["status"] == "PENDING"
    assert (await send(tenant, "entrega", {}, status=422))["errors"][0]["code"] == "not_approved"

    await change(tenant, "entrega", status="APPROVED")
    await eventually(lambda: is_now(tenant, "entrega", "APPROVED"), 15, "the approval")
    await send(tenant, "entrega", {})
    await on_phone(tenant)

    again = await world.api("POST", "/api/messages/templates", wanted, status=422)
    assert "Already Exists" in again["detail"]
    path = f"/api/messages/templates/entrega?channel_id={tenant.channel_id}"
    async with world.session.delete(world.url + path, headers={"Authorization": f"Bearer {world.admin_key}"}) as answer:
        assert answer.status == 204
    assert await listed(tenant, status="ALL") == []


async def test_a_channel_sees_no_templates_of_an_account_that_its_token_does_not_open(world: World) -> None:
    owner = await with_account(world, simples=TEMPLATES["simples"])
    assert len(await listed(owner)) == 1
    stranger = await with_account(world)
    channel = await world.api("GET", f"/api/channels/{owner.channel_id}")
    await world.api("PUT", f"/api/channels/{stranger.channel_id}", {"waba_id": channel["waba_id"]}, status=422)
    # However it came to stand there: Meta's own refusal is obeyed, and nothing cached is shown.
    await world.sql("UPDATE channel SET waba_id = $2 WHERE id = $1", stranger.channel_id, channel["waba_id"])
    path = f"/api/messages/templates?channel_id={stranger.channel_id}"
    assert "items" not in await world.api("GET", path, status=409)


@pytest.mark.parametrize(
    ("language", "wrong", "mend"),
    [
        ("pt-BR", "A Meta recusa o token do canal (190", "grave"),
        ("en", "Meta refuses the channel's access token (190", "set"),
    ],
)
async def test_a_dead_token_is_named_with_what_to_do_about_it(
    world: World, language: str, wrong: str, mend: str
) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    assert len(await listed(tenant)) == 1
    await world.control("POST", f"numbers/{tenant.number}/revoke", {})
    wanted = new_template(tenant)
    asked: tuple[tuple[str, str, Json | None], ...] = (
        ("POST", "/api/messages/templates", wanted),
        ("DELETE", f"/api/messages/templates/simples?channel_id={tenant.channel_id}", None),
    )
    for method, path, body in asked:
        headers = {"Authorization": f"Bearer {world.admin_key}", "Accept-Language": language}
        async with world.session.request(method, world.url + path, json=body, headers=headers) as answer:
            told = await answer.json(content_type=None)
        assert (answer.status, told["type"]) == (409, "urn:zaptrix:problem:channel-not-fit")
        assert wrong in told["detail"]
        assert mend in told["detail"]
        assert "taken" not in told["title"]
