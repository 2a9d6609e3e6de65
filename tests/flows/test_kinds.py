"""Every kind that a customer can send, over HTTP, from the phone to the open line."""

import json
import time
from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.posting import post_to_meta

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANA = "554188887777"
BIA = "5511977776666"  # she moves, for all tests of the file
AD = {"source_type": "ad", "source_id": "1202", "source_url": "https://fb.me/3abc", "headline": "Fale conosco"}


async def sends(tenant: Tenant, kind: str, **what: Any) -> str:
    letter = {"phone_number_id": tenant.number, "from": ANA, "customer_name": "Ana Souza", "kind": kind} | what
    told = await tenant.world.control("POST", "customers/send", letter)
    return str(told["wamids"][0])


async def test_every_kind_stands_in_the_chat_in_order(world: World) -> None:
    tenant = await world.tenant()
    first = await sends(tenant, "text", text="tem azul?", referral=AD)
    await world.drained()
    await tenant.operator_writes("Temos, sim!")
    await world.drained()
    ours = (await tenant.on_phone())[0]["id"]
    await sends(tenant, "location", latitude=-25.4296, longitude=-49.2719, name="Praça Osório")
    await sends(tenant, "contacts", name="Beto Lima", phone="+55 41 97777-6666")
    await sends(tenant, "button", title="Sim", quotes=ours)
    await sends(tenant, "list", title="09:30", description="Dra. Paula")
    await sends(tenant, "flow", response_json='{"flow_token":"t","nome":"Ana"}')
    await sends(tenant, "template_button", title="Cancelar visita")
    await sends(tenant, "reaction", to=ours, emoji="👍")
    await sends(tenant, "reaction", to=ours)
    await sends(tenant, "order", items=[{"product_retailer_id": "SKU-77", "quantity": 2, "item_price": 79.9}])
    await sends(tenant, "edit", to=first, text="tem verde?")
    await sends(tenant, "revoke", to=first)
    await sends(tenant, "unsupported", what="poll_creation")
    await sends(tenant, "group", text="oi, grupo")
    await sends(tenant, "of_tomorrow")
    await sends(tenant, "text", text="leia", forwarded=True)
    ledger = await world.drained()
    assert ledger["customers_wrote"] == ledger["in_chats"]
    cannot = "⚠ O cliente enviou algo que o WhatsApp não mostra aqui"
    assert await tenant.said_in_chat("customer") == [
        "📣 Veio de um anúncio: Fale conosco — https://fb.me/3abc\ntem azul?",
        "📍 Localização: Praça Osório\nhttps://maps.google.com/?q=-25.4296,-49.2719",
        "👤 Contato: Beto Lima\n☎ +55 41 97777-6666",
        ">>Empresa: Temos, sim!\n🔘 Escolheu: Sim",
        "🔘 Escolheu: 09:30\nDra. Paula",
        "📝 Formulário respondido\nnome: Ana",
        "🔘 Escolheu: Cancelar visita",
        ">>Empresa: Temos, sim!\nReagiu com 👍",
        ">>Empresa: Temos, sim!\nRetirou a reação",
        "🛒 Pedido (catálogo 194836987003835)\n2 × SKU-77 — 79.90\nTotal: 159.80",
        ">>Cliente: tem azul?\n✏ O cliente editou a mensagem: tem verde?",
        ">>Cliente: tem azul?\n🗑 O cliente apagou esta mensagem",
        f"{cannot} (enquete). Peça que envie de outra forma.",
        "👥 O contato escreveu num grupo; o que for respondido aqui vai só para o contato\noi, grupo",
        f"{cannot}. Peça que envie de outra forma.",
        "[i]↪ Encaminhada[/i]\nleia",
    ]
    events = await world.api("GET", "/api/events?state=unroutable")
    assert "an unknown kind of message: hologram" in [one["reason"] for one in events["items"]]


async def test_what_a_customer_says_to_another_app_stands_in_the_chat_and_says_so(world: World) -> None:
    tenant = await world.tenant()
    said = {"from": ANA, "id": "wamid.STANDBY1", "timestamp": str(int(time.time())), "type": "text"}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": tenant.number},
        "standby": {"messages": [said | {"text": {"body": "quero cancelar"}}]},
    }
    entry = {"id": "1", "changes": [{"field": "standby", "value": value}]}
    post = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert await post_to_meta(world, post) == 200

    async def told() -> bool:
        return bool(await tenant.said_in_chat("customer"))

    await eventually(told, 30, "the words in the chat")
    line = "🔀 Outro aplicativo cuida desta conversa agora; o que for respondido aqui pode não chegar"
    assert await tenant.said_in_chat("customer") == [f"[i]{line}[/i]\nquero cancelar"]
    assert (await tenant.conversation())["window_expires_at"] is None


async def test_an_ads_customer_becomes_a_contact_with_source_and_utm(world: World) -> None:
    tenant = await world.tenant(crm_mode="gateway")
    await sends(tenant, "text", text="oi", referral=AD)
    await world.drained()

    async def known() -> bool:
        return (await tenant.conversation())["bitrix_contact_id"] is not None

    await eventually(known, 20, "the contact")
    contact_id = (await tenant.conversation())["bitrix_contact_id"]
    address = f"{tenant.portal['client_endpoint']}crm.contact.get"
    asked = {"ID": contact_id, "auth": tenant.portal["access_token"]}
    async with world.session.post(address, json=asked) as answer:
        card = (await answer.json())["result"]
    assert (card["SOURCE_ID"], card["UTM_MEDIUM"], card["UTM_CAMPAIGN"]) == ("ADVERTISING", "ad", "1202")


async def test_a_customer_with_a_new_number_keeps_the_chat_and_is_answered_there(world: World) -> None:
    tenant = await world.tenant()
    await tenant.opened(BIA)
    chat = await tenant.chat(BIA)
    await world.control(
        "POST",
        "customers/move",
        {"phone_number_id": tenant.number, "from": BIA, "to": "5511955554444", "to_user_id": "BR.22005588"},
    )

    async def moved() -> bool:
        return await tenant.conversation_if_any("5511955554444") is not None

    await eventually(moved, 20, "the new number")
    letter = {"phone_number_id": tenant.number, "user_id": "BR.22005588", "from": "5511955554444", "text": "sou eu"}
    await world.control("POST", "customers/write", letter)
    await world.drained()
    assert (await tenant.chat("5511955554444"))["chat_id"] == chat["chat_id"]
    await tenant.operator_writes("oi de novo", wa_id="5511955554444")
    await world.drained()
    state = await world.control("GET", f"state?phone_number_id={tenant.number}")
    said = [one["text"] for phone in state["phones"] for one in phone["messages"] if one["from"] == "business"]
    assert said == ["oi de novo"]


async def test_two_numbers_that_differ_in_the_ninth_digit_alone_are_one_chat(world: World) -> None:
    tenant = await world.tenant()
    target = {"channel_id": str(tenant.channel_id), "to": "+5541988887777", "text": "Bom dia"}
    await tenant.opened()
    queued = await world.api("POST", "/api/messages/text", target, status=202)
    conversation = await tenant.conversation()
    assert queued["conversation_id"] == conversation["id"]
    await world.drained()
    told = await world.api("GET", f"/api/conversations?portal_id={tenant.portal_id}")
    assert [one["phone"] for one in told["items"]] == ["+5541988887777"]
    state = await world.control("GET", f"state?portal={tenant.key}")
    assert len(state["chats"]) == 1
    assert len({phone for one in state["contacts"] for phone in one["phones"]}) <= 1
