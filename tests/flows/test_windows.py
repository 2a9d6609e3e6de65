"""The 24-hour window: what closes it is told in the chat, with what would work, and a reminder comes before."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proof.world import World, eventually
from tests.flows.test_recovery import notices
from tests.flows.test_templates import TEMPLATES, change, is_now, listed, with_account

ANA = "554188887777"
MODULE = pytest.mark.asyncio(loop_scope="module")


@MODULE
async def test_an_operator_who_writes_too_late_is_told_which_templates_would_work(world: World) -> None:
    tenant = await with_account(
        world,
        simples=TEMPLATES["simples"],
        posicional=TEMPLATES["posicional"],
        codigo=TEMPLATES["codigo"],
        pausado=TEMPLATES["simples"] | {"status": "PAUSED"},
    )
    await tenant.opened()
    await world.control("POST", "customers/age", {"phone_number_id": tenant.number, "from": ANA, "hours": 25})
    await tenant.operator_writes("tudo bem?")

    async def told() -> bool:
        return bool(await notices(tenant, ANA))

    await eventually(told, 15, "the line in the chat")
    (line,) = await notices(tenant, ANA)
    assert "faz mais de 24 horas que o cliente não escreve (código 131047)" in line
    assert "• simples (pt_BR): Seu pedido saiu.\n• posicional (pt_BR): Olá {{1}}, sua consulta é às {{2}}." in line
    # What needs a code, and what Meta has stopped, would not work.
    assert "codigo" not in line
    assert "pausado" not in line
    (letter,) = (await world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}"))["items"]
    story = await world.api("GET", f"/api/messages/{letter['id']}")
    assert story["explanation"]["notice"] == "window_closed_templates"
    assert story["explanation"]["operator"] in line


@MODULE
async def test_a_failure_that_meta_tells_later_names_templates_too(world: World) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    await tenant.opened()
    late = {"side": "meta", "where": "webhook", "kind": "fail", "code": "131047"}
    await world.faults(late | {"match": {"phone_number_id": tenant.number}})
    await tenant.operator_writes("tudo bem?")

    async def told() -> bool:
        return any("• simples (pt_BR)" in line for line in await notices(tenant, ANA))

    await eventually(told, 15, "the line in the chat")


@MODULE
async def test_a_list_that_hangs_keeps_no_operator_and_no_customer_waiting(world: World) -> None:
    """The delay is longer than anybody waits here: the notice comes without names, and the others do not notice."""
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    await tenant.opened()
    hangs = {"side": "meta", "where": "api", "kind": "delay", "delay_s": 120, "match": {"method": "message_templates"}}
    await world.faults(hangs)
    await world.control("POST", "customers/age", {"phone_number_id": tenant.number, "from": ANA, "hours": 25})
    await tenant.operator_writes("tudo bem?")
    await tenant.opened("5541922223333")

    async def told() -> bool:
        return bool(await notices(tenant, ANA))

    await eventually(told, 30, "the line in the chat")
    (line,) = await notices(tenant, ANA)
    assert "Envie um modelo (template) aprovado ou aguarde o cliente escrever (código 131047)" in line
    (letter,) = (await world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}"))["items"]
    story = await world.api("GET", f"/api/messages/{letter['id']}")
    assert story["explanation"]["notice"] == "window_closed"
    assert story["explanation"]["operator"] in line


@MODULE
async def test_templates_are_named_as_they_are_now(world: World) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    await tenant.opened()
    assert len(await listed(tenant)) == 1
    await change(tenant, "simples", status="DISABLED")
    await eventually(lambda: is_now(tenant, "simples", "DISABLED"), 15, "the end of the template")
    await world.control("POST", "customers/age", {"phone_number_id": tenant.number, "from": ANA, "hours": 25})
    await tenant.operator_writes("tudo bem?")

    async def told() -> bool:
        return bool(await notices(tenant, ANA))

    await eventually(told, 15, "the line in the chat")
    (line,) = await notices(tenant, ANA)
    assert "simples" not in line


@MODULE
async def test_what_meta_charges_a_message_as_can_be_read(world: World) -> None:
    tenant = await with_account(world, simples=TEMPLATES["simples"])
    body = {"channel_id": str(tenant.channel_id), "to": f"+{ANA}", "name": "simples"}
    queued = await world.api("POST", "/api/messages/template", body)

    async def priced() -> bool:
        message = (await world.api("GET", f"/api/messages/{queued['id']}"))["message"]
        price = (message["price_category"], message["price_type"], message["price_model"], message["price_billable"])
        return price == ("utility", "regular", "PMP", True)

    await eventually(priced, 15, "the price")


@pytest.fixture
async def reminding(tmp_path: Path) -> AsyncIterator[World]:
    world = World(folder=tmp_path, extra={"WINDOW_REMINDER_MIN": "60"})
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


async def test_an_operator_is_reminded_once_of_a_customer_who_waits_and_of_no_other(reminding: World) -> None:
    world, tenant = reminding, await reminding.tenant()
    waits, answered, fresh = "5541911112222", "5541933334444", "5541955556666"
    for wa_id in (waits, answered):
        letter = {"phone_number_id": tenant.number, "from": wa_id, "text": f"oi de {wa_id}", "hours_ago": 23.5}
        await world.control("POST", "customers/write", letter)
    await tenant.opened(fresh)
    await tenant.operator_writes("já vejo", wa_id=answered)
    await world.drained()

    async def reminded() -> bool:
        return len(await notices(tenant, waits)) == 1

    await eventually(reminded, 45, "the reminder")
    (line,) = await notices(tenant, waits)
    assert line.startswith("O cliente aguarda resposta")
    assert await notices(tenant, fresh) == []
    told = await world.sql("SELECT count(*) FROM conversation_mapping WHERE window_reminded_at IS NOT NULL")
    assert told == 1
