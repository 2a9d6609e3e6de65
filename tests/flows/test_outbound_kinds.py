"""Every kind that a program can send, over HTTP, to the phone and into the operator's chat, with its receipts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, PDF, in_chat, notices, opened, sha
from tests.media.recordings import recording

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(3_000)
WEBP = b"RIFF\x24\0\0\0WEBPVP8L" + bytes(100)
WHO = "+55 41 98888-7777"
TOLD = "[b]Zaptrix[/b]\nEnviado ao cliente pela integração:\n"

CARD = {"name": "Suporte", "organisation": "Loja Azul", "phones": ["+551140041234"], "emails": ["a@loja.example"]}
SECTIONS = [{"title": "Manhã", "rows": [{"id": "s09", "title": "09:00", "description": "Dra. Paula"}]}]
FLOW = {"id": "1234567890", "label": "Abrir", "token": "tok-1", "screen": "START", "data": {"k": "v"}}

# What is asked for; what the phone has under the type's name; what the operator reads.
KINDS: dict[str, tuple[str, Json, Any, str]] = {
    "a place": (
        "location",
        {"latitude": -25.4296, "longitude": -49.2719, "name": "Loja", "address": "R. XV, 100"},
        {"latitude": -25.4296, "longitude": -49.2719, "name": "Loja", "address": "R. XV, 100"},
        "📍 Localização: Loja\nR. XV, 100\nhttps://maps.google.com/?q=-25.4296,-49.2719",
    ),
    "a contact": (
        "contacts",
        {"contacts": [CARD]},
        [
            {
                "name": {"formatted_name": "Suporte", "first_name": "Suporte"},
                "phones": [{"phone": "+551140041234", "wa_id": "551140041234"}],
                "emails": [{"email": "a@loja.example"}],
                "org": {"company": "Loja Azul"},
            }
        ],
        "👤 Contato: Suporte\nLoja Azul\n☎ +551140041234\n✉ a@loja.example",
    ),
    "buttons": (
        "interactive",
        {
            "body": "Confirma?",
            "header": {"text": "Visita"},
            "footer": "Loja Azul",
            "buttons": [{"id": "yes", "title": "Sim"}, {"id": "no", "title": "Não"}],
        },
        {
            "type": "button",
            "header": {"type": "text", "text": "Visita"},
            "body": {"text": "Confirma?"},
            "footer": {"text": "Loja Azul"},
            "action": {
                "buttons": [
                    {"type": "reply", "reply": {"id": "yes", "title": "Sim"}},
                    {"type": "reply", "reply": {"id": "no", "title": "Não"}},
                ]
            },
        },
        "[b]Visita[/b]\nConfirma?\n[i]Loja Azul[/i]\n🔘 Sim\n🔘 Não",
    ),
    "a list": (
        "interactive",
        {"body": "Escolha", "list": {"label": "Ver horários", "sections": SECTIONS}},
        {"type": "list", "body": {"text": "Escolha"}, "action": {"button": "Ver horários", "sections": SECTIONS}},
        "Escolha\n📋 Ver horários\n[b]Manhã[/b]\n• 09:00 — Dra. Paula",
    ),
    "a link": (
        "interactive",
        {"body": "Seu pedido", "link": {"label": "Acompanhar", "url": "https://exemplo.com/p/1"}},
        {
            "type": "cta_url",
            "body": {"text": "Seu pedido"},
            "action": {
                "name": "cta_url",
                "parameters": {"display_text": "Acompanhar", "url": "https://exemplo.com/p/1"},
            },
        },
        "Seu pedido\n🔗 Acompanhar: https://exemplo.com/p/1",
    ),
    "a request for a place": (
        "interactive",
        {"body": "Onde você está?", "location_request": True},
        {
            "type": "location_request_message",
            "body": {"text": "Onde você está?"},
            "action": {"name": "send_location"},
        },
        "Onde você está?\n📍 Pedido de localização",
    ),
    "a form": (
        "interactive",
        {"body": "Cadastro", "flow": FLOW},
        {
            "type": "flow",
            "body": {"text": "Cadastro"},
            "action": {
                "name": "flow",
                "parameters": {
                    "flow_message_version": "3",
                    "flow_cta": "Abrir",
                    "flow_action": "navigate",
                    "flow_id": "1234567890",
                    "flow_token": "tok-1",
                    "flow_action_payload": {"screen": "START", "data": {"k": "v"}},
                },
            },
        },
        "Cadastro\n📝 Formulário: Abrir",
    ),
}


async def send(tenant: Tenant, kind: str, *, status: int = 202, **body: Any) -> Json:
    told: Json = await tenant.world.api(
        "POST", f"/api/messages/{kind}", {"channel_id": str(tenant.channel_id), "to": WHO, **body}, status=status
    )
    return told


async def send_form(
    tenant: Tenant, kind: str, content: bytes | AsyncIterator[bytes], name: str, key: str = "", **fields: str
) -> Json:
    form = aiohttp.FormData({"channel_id": str(tenant.channel_id), "to": WHO, **fields})
    form.add_field("file", content, filename=name)
    headers = {"Authorization": f"Bearer {tenant.world.admin_key}"} | ({"Idempotency-Key": key} if key else {})
    url = f"{tenant.world.url}/api/messages/{kind}"
    async with tenant.world.session.post(url, data=form, headers=headers) as answer:
        told: Json = await answer.json()
        assert answer.status == 202, told
        return told


async def arrived(tenant: Tenant, message_id: int, status: str = "delivered") -> Json:
    """The message on the phone, when the gateway knows by its receipt that it is there."""

    async def told() -> bool:
        story = await tenant.world.api("GET", f"/api/messages/{message_id}")
        assert story["message"]["state"] != "dead", story
        return bool(story["message"]["state"] == status)

    await eventually(told, 30, f"the message to be {status}")
    story = await tenant.world.api("GET", f"/api/messages/{message_id}")
    on_phone: list[Json] = await tenant.on_phone()
    return next(one for one in on_phone if one["id"] == story["message"]["whatsapp_id"])


async def shown_of(tenant: Tenant, count: int = 1) -> list[Json]:
    """The lines in the chat that tell what a program has sent."""

    async def lines() -> list[Json]:
        chat = await tenant.chat()
        return [one for one in chat["messages"] if "pela integração" in one["text"]]

    async def there() -> bool:
        return len(await lines()) >= count

    await eventually(there, 30, f"{count} lines of what was sent")
    return await lines()


@asynccontextmanager
async def files_of_ours(world: World) -> AsyncIterator[str]:
    """The admin's own server, which MEDIA_LINK_ORIGINS names."""

    async def give(request: web.Request) -> web.Response:
        content = {"boleto.pdf": PDF, "foto": JPEG}.get(request.match_info["name"])
        return web.Response(body=content) if content else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", world.files_port).start()
    try:
        yield f"http://127.0.0.1:{world.files_port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("name", KINDS)
async def test_a_kind_reaches_the_phone_and_stands_in_the_chat(world: World, name: str) -> None:
    kind, body, on_phone, in_the_chat = KINDS[name]
    tenant = await opened(world)

    queued = await send(tenant, kind, **body)

    got = await arrived(tenant, queued["id"])
    assert (got["type"], got[kind]) == (kind, on_phone)
    (line,) = await shown_of(tenant)
    assert line["text"] == TOLD + in_the_chat


@pytest.mark.parametrize(
    ("kind", "content", "name", "fields", "attached"),
    [
        ("image", JPEG, "foto.jpg", {"caption": "a *loja*"}, "IMAGE"),
        ("video", MP4, "filme.mp4", {"caption": "veja"}, "FILE"),
        ("document", PDF, "x.pdf", {"file_name": "boleto de maio.pdf", "caption": "segue"}, "FILE"),
        ("document", b"PK\x03\x04" + bytes(500), "tudo.zip", {}, "FILE"),
        ("audio", recording("ogg", "libopus"), "som.ogg", {}, "FILE"),
        ("sticker", WEBP, "oi.webp", {}, "IMAGE"),
    ],
    ids=["image", "video", "document", "zip", "audio", "sticker"],
)
async def test_an_upload_reaches_the_phone_and_stands_in_the_chat_as_a_file(
    world: World, kind: str, content: bytes, name: str, fields: dict[str, str], attached: str
) -> None:
    tenant = await opened(world)

    queued = await send_form(tenant, kind, content, name, **fields)

    got = await arrived(tenant, queued["id"])
    assert (got["type"], got["file"]["type"], got["file"]["sha256"]) == (kind, kind, sha(content))
    assert got["file"]["voice"] is False
    assert got["text"].replace("\u200b", "") == fields.get("caption", "")
    (line,) = await shown_of(tenant)
    (block,) = line["attach"]
    (entry,) = block[attached]
    assert entry["NAME"] == fields.get("file_name", name)
    assert sha(await fetched(world, entry["LINK"])) == sha(content)


async def fetched(world: World, link: str) -> bytes:
    async with world.session.get(link) as answer:
        assert answer.status == 200
        return await answer.read()


@pytest.mark.parametrize(("container", "codec"), [("ogg", "libopus"), ("webm", "libopus"), ("mp4", "aac")])
async def test_a_recording_is_sent_as_a_voice_note(world: World, container: str, codec: str) -> None:
    tenant = await opened(world)

    queued = await send_form(tenant, "audio", recording(container, codec), f"voz.{container}", voice="true")

    got = await arrived(tenant, queued["id"])
    assert (got["file"]["mime"], got["file"]["voice"]) == ("audio/ogg", True)
    assert got["audio"]["voice"] is True


async def test_a_link_is_fetched_before_the_answer_and_what_it_gives_is_sent(world: World) -> None:
    tenant = await opened(world)
    async with files_of_ours(world) as ours:
        queued = await send(tenant, "document", link=f"{ours}/boleto.pdf", caption="segue")
        refused = await send(tenant, "document", link=f"{ours}/nada.pdf", status=422)
        wrong = await send(tenant, "image", link=f"{ours}/boleto.pdf", status=422)

    got = await arrived(tenant, queued["id"])
    assert (got["document"]["filename"], got["file"]["sha256"]) == ("boleto.pdf", sha(PDF))
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [("/link", "fetch")]
    assert [(error["field"], error["code"]) for error in wrong["errors"]] == [("/link", "file_type")]
    assert len(await tenant.on_phone()) == 1


async def test_a_file_that_meta_has_goes_by_its_id_and_is_shown_to_the_operator(world: World) -> None:
    tenant = await opened(world)
    first = await send_form(tenant, "image", JPEG, "foto.jpg")
    media_id = (await arrived(tenant, first["id"]))["image"]["id"]

    queued = await send(tenant, "image", media_id=media_id, caption="de novo")
    gone = await send(tenant, "image", media_id="1", status=422)
    wrong = await send(tenant, "video", media_id=media_id, status=422)

    got = await arrived(tenant, queued["id"])
    assert got["image"] == {"id": media_id, "caption": "de novo"}
    _, line = await shown_of(tenant, 2)
    assert sha(await fetched(world, line["attach"][0]["IMAGE"][0]["LINK"])) == sha(JPEG)
    assert [(error["field"], error["code"]) for error in gone["errors"]] == [("/media_id", "fetch")]
    assert [(error["field"], error["code"]) for error in wrong["errors"]] == [("/media_id", "file_type")]


@pytest.mark.parametrize(("header", "content", "name"), [
    ("image", JPEG, "visita.jpg"), ("video", MP4, "visita.mp4"), ("document", PDF, "visita.pdf"),
])  # fmt: skip
async def test_buttons_below_a_file(world: World, header: str, content: bytes, name: str) -> None:
    tenant = await opened(world)
    body = {"body": "Confirma?", "header": {header: {}}, "buttons": [{"id": "yes", "title": "Sim"}]}

    queued = await send_form(tenant, "interactive", content, name, message=json.dumps(body))

    got = await arrived(tenant, queued["id"])
    assert got["interactive"]["header"]["type"] == header
    assert (got["file"]["type"], got["file"]["sha256"]) == (header, sha(content))
    (line,) = await shown_of(tenant)
    assert line["text"].endswith(f"{name}\nConfirma?\n🔘 Sim")
    assert len(line["attach"]) == 1


async def test_the_same_upload_under_the_same_key_is_one_message_and_another_content_is_refused(world: World) -> None:
    tenant = await opened(world)
    first = await send_form(tenant, "image", JPEG, "foto.jpg", key="pedido-1")
    again = await send_form(tenant, "image", JPEG, "foto.jpg", key="pedido-1")
    with pytest.raises(AssertionError, match="idempotency-key-reused"):
        await send_form(tenant, "image", JPEG + b"x", "foto.jpg", key="pedido-1")

    await arrived(tenant, first["id"])
    assert again["id"] == first["id"]
    assert len(await tenant.on_phone()) == 1


async def customers(tenant: Tenant) -> Json:
    """The customer's first message, as the gateway and as the phone have it."""
    conversation = await tenant.conversation_if_any()
    assert conversation is not None
    listed = await tenant.world.api("GET", f"/api/conversations/{conversation['id']}/messages")
    first: Json = next(one for one in listed["items"] if one["direction"] == "inbound")
    return first


async def test_an_answer_quotes_the_message_that_it_answers(world: World) -> None:
    tenant = await opened(world)
    asked = await customers(tenant)

    queued = await send(tenant, "location", latitude=1.5, longitude=2.5, reply_to=asked["id"])

    got = await arrived(tenant, queued["id"])
    assert got["context"] == {"message_id": asked["whatsapp_id"]}
    (line,) = await shown_of(tenant)
    assert "\n>>Cliente: oi\n" in line["text"]


async def test_a_reaction_stands_on_the_customers_message_and_can_be_taken_away(world: World) -> None:
    tenant = await opened(world)
    asked = await customers(tenant)
    reactions = []
    for emoji in ("❤️", ""):
        body = {"message_id": asked["id"], "emoji": emoji}
        queued = await world.api("POST", "/api/messages/reaction", body, status=202)
        got = await arrived(tenant, queued["id"], "sent")
        reactions.append(got["reaction"])
    assert reactions == [
        {"message_id": asked["whatsapp_id"], "emoji": "❤️"},
        {"message_id": asked["whatsapp_id"], "emoji": ""},
    ]
    first, second = await shown_of(tenant, 2)
    assert first["text"] == f"{TOLD}>>Cliente: oi\nReagiu com ❤️"
    assert second["text"] == f"{TOLD}>>Cliente: oi\nRetirou a reação"


@pytest.mark.parametrize(
    ("name", "answer", "read"),
    [
        ("buttons", {"choice": "Sim"}, ">>Empresa: [mensagem interativa] Confirma?\n🔘 Escolheu: Sim"),
        ("a list", {"choice": "s09"}, ">>Empresa: [mensagem interativa] Escolha\n🔘 Escolheu: 09:00\nDra. Paula"),
        (
            "a request for a place",
            {"latitude": -25.5, "longitude": -49.25},
            ">>Empresa: [mensagem interativa] Onde você está?\n📍 Localização\nhttps://maps.google.com/?q=-25.5,-49.25",
        ),
        (
            "a form",
            {"response": {"nome": "Ana"}},
            ">>Empresa: [mensagem interativa] Cadastro\n📝 Formulário respondido\nnome: Ana",
        ),
    ],
)
async def test_the_customers_answer_quotes_our_message(world: World, name: str, answer: Json, read: str) -> None:
    kind, body, _, _ = KINDS[name]
    tenant = await opened(world)
    await arrived(tenant, (await send(tenant, kind, **body))["id"])

    who = {"phone_number_id": tenant.number, "from": "554188887777"}
    await world.control("POST", "customers/answer", who | answer)

    async def told() -> bool:
        return len(await in_chat(tenant)) == 2

    await eventually(told, 30, "the answer in the chat")
    assert (await in_chat(tenant))[-1]["text"] == read


async def test_while_uploads_fail_a_header_waits_and_nothing_is_sent_without_it(world: World) -> None:
    tenant = await opened(world)
    await world.faults({"side": "meta", "where": "api", "kind": "status", "status": 503, "match": {"method": "media"}})
    body = {"body": "Confirma?", "header": {"image": {}}, "buttons": [{"id": "yes", "title": "Sim"}]}
    queued = await send_form(tenant, "interactive", JPEG, "visita.jpg", message=json.dumps(body))

    async def tried() -> bool:
        sql = "SELECT attempts FROM file WHERE message_id = $1"
        return bool(await world.sql(sql, queued["id"]))

    await eventually(tried, 30, "an attempt to upload")
    assert await tenant.on_phone() == []
    await world.heal()
    assert (await arrived(tenant, queued["id"]))["file"]["sha256"] == sha(JPEG)
    assert await notices(tenant) == [line["text"] for line in await shown_of(tenant)]


async def test_a_file_that_is_not_in_the_house_any_more_holds_nobody_and_is_told(world: World) -> None:
    """As on a host that does not share the store; the words behind it do not wait, and the operator is told why."""
    tenant = await opened(world)
    await world.faults({"side": "meta", "where": "api", "kind": "status", "status": 503, "match": {"method": "media"}})
    queued = await send_form(tenant, "image", JPEG, "foto.jpg")
    key = await world.sql("SELECT blob->>'key' FROM file WHERE message_id = $1", queued["id"])
    await asyncio.to_thread((world.folder / "data" / "media" / key).unlink)
    await tenant.operator_writes("e o texto?")
    await world.heal()

    async def told() -> bool:
        return any("blob_gone" in line for line in await notices(tenant)) and len(await tenant.on_phone()) == 1

    await eventually(told, 60, "the words on the phone, and the line in the chat")
    story = await world.api("GET", f"/api/messages/{queued['id']}")
    assert (story["message"]["state"], story["message"]["error_code"]) == ("dead", "blob_gone")


async def test_a_bad_key_that_a_file_meets_first_pauses_the_number_and_is_told(world: World) -> None:
    tenant = await opened(world)
    await world.faults({"side": "meta", "where": "api", "kind": "refuse", "code": "190", "match": {"method": "media"}})
    await world.sql("UPDATE channel SET updated_at = now() - interval '1 minute' WHERE id = $1", tenant.channel_id)
    queued = await send_form(tenant, "image", JPEG, "foto.jpg")
    await tenant.operator_writes("e o texto?")

    async def paused() -> bool:
        channel = await world.api("GET", f"/api/channels/{tenant.channel_id}")
        return channel["whatsapp_paused_at"] is not None

    await eventually(paused, 30, "the number's pause")

    async def told() -> bool:
        return bool(await notices(tenant))

    await eventually(told, 30, "the line in the chat")
    await world.heal()
    await world.api("PUT", f"/api/channels/{tenant.channel_id}", {"name": "Vendas"})
    await world.sql("UPDATE file SET due_at = now() WHERE message_id = $1", queued["id"])  # it is tried once a minute
    assert (await arrived(tenant, queued["id"]))["file"]["sha256"] == sha(JPEG)
