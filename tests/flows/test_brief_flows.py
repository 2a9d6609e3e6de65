"""The brief's two flows, step by step, over HTTP, with both platforms at the far ends."""

import asyncio
from typing import Any

import pytest

from proof.world import Tenant, World, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def metric(world: World, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry `labels`."""
    families = await world.api("GET", "/metrics/json")
    samples = [sample for family in families for sample in family["samples"] if sample["name"] == name]
    return float(sum(s["value"] for s in samples if labels.items() <= s["labels"].items()))


async def redis_keys(world: World, pattern: str) -> list[str]:
    import redis.asyncio

    async with redis.asyncio.from_url(world.servers.redis.url, decode_responses=True) as client:
        return [key async for key in client.scan_iter(pattern)]


async def timeline(world: World, conversation_id: str) -> list[dict[str, Any]]:
    """A conversation's messages, oldest first."""
    told = await world.api("GET", f"/api/conversations/{conversation_id}/messages")
    return list(reversed(told["items"]))


async def _all_sent(world: World, tenant: Tenant) -> bool:
    conversation = await tenant.conversation()
    return {message["state"] for message in await timeline(world, conversation["id"])} == {"sent"}


async def test_flow_1_a_customers_text_reaches_the_open_line(world: World) -> None:
    tenant = await world.tenant()
    received = await metric(world, "zaptrix_webhooks_received_total", source="meta")
    routed = await metric(world, "zaptrix_queue_job_status", queue="incoming-messages", status="completed")
    delivered = await metric(world, "zaptrix_messages_processed_total", direction="inbound", result="success")
    # 1, 2, 3, 5: the customer writes; Meta posts, signed; the gateway answers 200.
    await tenant.customer_writes("Olá, tem na cor *azul*? 😀")
    ledger = await world.drained()
    assert ledger["customers_wrote"] == ledger["in_chats"]
    # 3, 9: counted at the door and at the end.
    assert await metric(world, "zaptrix_webhooks_received_total", source="meta") > received
    # 4, 6, 7: the bells of both queues were answered.
    await eventually(lambda: _grew(world, "incoming-messages", routed), 10, "a completed bell of incoming-messages")
    # The verdict comes a moment after the portal's answer.
    await eventually(lambda: _all_sent(world, tenant), 10, "the verdict in the ledger")
    # 6: the mapping is in PostgreSQL and in the cache; the line made the contact.
    conversation = await tenant.conversation()
    assert conversation["contact_name"] == "Ana Souza"
    assert conversation["phone"] == "+5541988887777"
    assert conversation["bitrix_chat_id"] == (await tenant.chat())["chat_id"]
    assert await redis_keys(world, f"*{conversation['id']}*")
    # 8: it stands in the chat, with its look, once.
    assert await tenant.said_in_chat("customer") == ["Olá, tem na cor [b]azul[/b]? 😀"]
    (message,) = await timeline(world, conversation["id"])
    assert (message["state"], message["attempts"]) == ("sent", 0)
    assert await metric(world, "zaptrix_messages_processed_total", direction="inbound", result="success") > delivered


async def _grew(world: World, queue: str, before: float) -> bool:
    return await metric(world, "zaptrix_queue_job_status", queue=queue, status="completed") > before


async def test_flow_1_the_blue_ticks_come_only_when_the_message_is_in_the_chat(world: World) -> None:
    tenant = await world.tenant()
    await world.portal_is_down(tenant)
    await tenant.customer_writes("alguém aí?")

    async def tried() -> bool:
        told = await world.api("GET", f"/api/conversations?portal_id={tenant.portal_id}")
        return bool(told["items"]) and (await timeline(world, told["items"][0]["id"]))[0]["attempts"] >= 1

    await eventually(tried, 20, "a failed attempt")
    assert [one["read_by_business"] for one in await tenant.on_phone("customer")] == [False]
    await world.heal()
    await world.drained()

    async def blue() -> bool:
        return [one["read_by_business"] for one in await tenant.on_phone("customer")] == [True]

    await eventually(blue, 10, "blue ticks")


async def test_flow_2_an_operators_text_reaches_the_phone_and_the_receipts_come_back(world: World) -> None:
    tenant = await world.tenant()
    await tenant.opened()
    received = await metric(world, "zaptrix_webhooks_received_total", source="bitrix24")
    # 1, 2, 5: the operator answers; Bitrix24 posts its form once; the gateway answers 200.
    await tenant.operator_writes("Temos, [b]sim[/b]!")
    await world.drained()
    # 3: it was counted, after its portal was known by the application token.
    assert await metric(world, "zaptrix_webhooks_received_total", source="bitrix24") > received
    # 4, 6, 7, 8, 9: routed by the mapping, delivered by the Graph API, seen by the customer without the signature.
    (sent,) = await tenant.on_phone()
    assert sent["text"] == "Temos, *sim*!"

    # The operator's line stops saying "sending" once WhatsApp took it.
    async def delivered() -> bool:
        said = [one for one in (await tenant.chat())["messages"] if one["author"] == "operator"]
        return [one["status"] for one in said] == ["delivered"]

    await eventually(delivered, 10, "the confirmation in the chat")
    # Receipts move the ledger forward: sent, delivered, and read when the phone reads.
    await tenant.customer_reads()

    async def read() -> bool:
        messages = await timeline(world, (await tenant.conversation())["id"])
        return bool(messages[-1]["state"] == "read")

    await eventually(read, 10, "the read receipt")
    message = (await timeline(world, (await tenant.conversation())["id"]))[-1]
    assert message["sent_at"] <= message["delivered_at"] <= message["read_at"]
    assert message["whatsapp_id"] == sent["id"]
    # 10
    assert await metric(world, "zaptrix_messages_processed_total", direction="outbound", result="success") >= 1


async def test_one_request_id_leads_from_the_door_to_the_delivery(world: World) -> None:
    tenant = await world.tenant()
    await tenant.opened()
    (message,) = await timeline(world, (await tenant.conversation())["id"])
    request_id = message["request_id"]

    async def told() -> bool:
        logs = "".join(log.read_text() for log in world.folder.glob("*.log"))
        return any('"delivered"' in line for line in logs.splitlines() if request_id in line)

    # The platform has it a moment before its verdict is on disk and told.
    await eventually(told, 10, "a line that tells of the delivery")


async def test_a_long_talk_of_many_customers_stays_in_order(world: World) -> None:
    tenant = await world.tenant()
    customers = [f"55119{70000000 + number}" for number in range(10)]
    await asyncio.gather(*(tenant.opened(wa_id) for wa_id in customers))
    for turn in range(5):
        await asyncio.gather(
            *(tenant.customer_writes(f"pergunta {turn} de {wa_id}", wa_id=wa_id) for wa_id in customers),
            *(tenant.operator_writes(f"resposta {turn} a {wa_id}", wa_id=wa_id) for wa_id in customers),
        )
    ledger = await world.drained()
    assert ledger["customers_wrote"] == ledger["in_chats"]
    assert ledger["operators_wrote"] == ledger["on_phones"]
    for wa_id in customers:
        shown = [one["text"] for one in await tenant.on_phone(wa_id=wa_id)]
        assert shown == [f"resposta {turn} a {wa_id}" for turn in range(5)]


async def test_nothing_that_people_write_and_no_secret_reaches_a_log(world: World) -> None:
    tenant = await world.tenant()
    await tenant.customer_writes("segredo-do-cliente-7731", wa_id="5511912345678")
    await world.drained()
    await tenant.operator_writes("segredo-do-operador-7732", wa_id="5511912345678")
    await world.drained()
    logs = "".join(log.read_text() for log in world.folder.glob("*.log") if "simulator" not in log.name)
    assert '"delivered"' in logs
    secrets = (tenant.portal["access_token"], tenant.portal["client_secret"], tenant.phone["access_token"])
    for hidden in ("segredo-do-cliente-7731", "segredo-do-operador-7732", "5511912345678", *secrets, world.admin_key):
        assert hidden not in logs
