"""Bitrix24 sends an event once: what operators wrote while nobody listened is found, sent once, and told of."""

import asyncio
from typing import Any

import asyncpg

from proof.world import Tenant, World, eventually

CUSTOMERS = [f"55119{70000000 + number}" for number in range(4)]


async def opened(world: World, customers: list[str] = CUSTOMERS) -> Tenant:
    tenant = await world.tenant()
    await asyncio.gather(*(tenant.opened(wa_id) for wa_id in customers))
    return tenant


async def chats_of(tenant: Tenant, customers: list[str] = CUSTOMERS) -> dict[str, int]:
    """Asked beforehand: while the gateway is away nobody can be asked."""
    return {wa_id: (await tenant.chat(wa_id))["chat_id"] for wa_id in customers}


async def writes(world: World, tenant: Tenant, chat_id: int, *texts: str, **more: Any) -> None:
    for text in texts:
        letter = {"portal": tenant.key, "chat_id": chat_id, "text": text, "operator": "Bia", **more}
        await world.control("POST", "operators/write", letter)


async def lost(world: World, count: int) -> None:
    """Until the portal's queue has given up so many events."""

    async def given_up() -> bool:
        return bool((await world.ledger())["counts"].get("events_lost", 0) >= count)

    await eventually(given_up, 20, "the events to be lost")


async def nobody_was_there_for(world: World, minutes: int) -> None:
    """As if the gateway had been away for longer than a test may take."""
    connection = await asyncpg.connect(world.servers.postgres.url)
    try:
        await connection.execute("UPDATE gateway_beat SET at = at - make_interval(mins => $1)", minutes)
    finally:
        await connection.close()


async def the_outage_ends(world: World, tenant: Tenant, chats: dict[str, int]) -> None:
    """It was longer than two minutes. The gateway is up again, and operators go on writing."""
    await nobody_was_there_for(world, 2)
    await age_histories(world, seconds=60)
    world.start_gateway()
    await world.gateway_is_up()
    for wa_id, chat_id in chats.items():
        await writes(world, tenant, chat_id, f"depois {wa_id}")


async def all_came_late(world: World, tenant: Tenant) -> None:
    """What was lost in two turns is on the phones, once and in order, as late; what was written after is not late."""
    ledger = await world.drained()
    assert ledger["operators_wrote"] == ledger["on_phones"]
    for wa_id in CUSTOMERS:
        assert await on_phone(tenant, wa_id) == [f"perdida 0 {wa_id}", f"perdida 1 {wa_id}", f"depois {wa_id}"]
        assert await late_ones(world, tenant, wa_id) == [True, True, False]


async def on_phone(tenant: Tenant, wa_id: str) -> list[str]:
    return [one["text"] for one in await tenant.on_phone(wa_id=wa_id)]


async def notices(tenant: Tenant, wa_id: str) -> list[str]:
    return [text.partition("\n")[2] for text in await tenant.said_in_chat("system", wa_id)]


async def late_ones(world: World, tenant: Tenant, wa_id: str) -> list[bool]:
    talk = await tenant.conversation(wa_id)
    told = await world.api("GET", f"/api/conversations/{talk['id']}/messages")
    return [one["late"] for one in reversed(told["items"]) if one["direction"] == "outbound"]


async def test_replies_written_while_the_gateway_was_away_arrive_once_in_order_late_and_told(own_world: World) -> None:
    tenant = await opened(own_world)
    chats = await chats_of(tenant)
    own_world.kill_gateway()
    for turn in range(2):
        for wa_id, chat_id in chats.items():
            await writes(own_world, tenant, chat_id, f"perdida {turn} {wa_id}")
    await writes(own_world, tenant, chats[CUSTOMERS[0]], "só entre nós", hidden=True)
    await tenant.customer_writes("alguém aí?", wa_id=CUSTOMERS[1])
    await lost(own_world, 2 * len(CUSTOMERS))
    await the_outage_ends(own_world, tenant, chats)
    await all_came_late(own_world, tenant)
    for wa_id in CUSTOMERS:
        await eventually(lambda wa_id=wa_id: _has(tenant, wa_id, 1), 20, "the notice")  # type: ignore[misc]
        (line,) = await notices(tenant, wa_id)
        assert line == "Com atraso: 2 respostas que não tinham chegado ao gateway seguem agora para o cliente."


async def _has(tenant: Tenant, wa_id: str, count: int) -> bool:
    return len(await notices(tenant, wa_id)) == count


async def age_histories(world: World, *, seconds: int) -> None:
    """Let everything in the chats have been written so long ago."""
    await world.control("POST", "chats/age", {"seconds": seconds})


async def test_a_restart_that_takes_no_time_at_all_loses_nothing_either(own_world: World) -> None:
    tenant = await opened(own_world, CUSTOMERS[:1])
    (chat_id,) = (await chats_of(tenant, CUSTOMERS[:1])).values()
    own_world.kill_gateway()
    await writes(own_world, tenant, chat_id, "no meio")
    await lost(own_world, 1)
    own_world.start_gateway()
    await own_world.gateway_is_up()
    await own_world.drained()
    assert await on_phone(tenant, CUSTOMERS[0]) == ["no meio"]


async def test_a_single_event_that_was_lost_is_found_while_the_gateway_is_up(own_world: World) -> None:
    tenant = await opened(own_world, CUSTOMERS[:1])
    (chat_id,) = (await chats_of(tenant, CUSTOMERS[:1])).values()
    drop = {"side": "bitrix24", "where": "webhook", "kind": "drop", "times": 1}
    await own_world.faults(drop | {"match": {"method": "ONIMCONNECTORMESSAGEADD"}})
    await writes(own_world, tenant, chat_id, "perdida")
    await lost(own_world, 1)
    await writes(own_world, tenant, chat_id, "chegou")
    await it_is_time_to_look(own_world)
    await own_world.drained()
    assert sorted(await on_phone(tenant, CUSTOMERS[0])) == ["chegou", "perdida"]


async def it_is_time_to_look(world: World) -> None:
    """As if the quarter of an hour between two rounds had passed."""
    await world.sql("UPDATE conversation_mapping SET looked_at = NULL")
    await world.sql("UPDATE recovery SET next_at = now()")


async def test_a_worker_that_dies_in_the_middle_of_a_recovery_is_replaced(own_world: World) -> None:
    tenant = await opened(own_world)
    chats = await chats_of(tenant)
    own_world.kill_gateway()
    for wa_id, chat_id in chats.items():
        await writes(own_world, tenant, chat_id, f"perdida {wa_id}")
    await lost(own_world, len(CUSTOMERS))
    await nobody_was_there_for(own_world, 2)
    slow = {"side": "bitrix24", "where": "api", "kind": "delay", "delay_s": 4.0, "match": {"method": "batch"}}
    await own_world.faults(slow)
    own_world.start_gateway()
    await own_world.gateway_is_up()
    for _ in range(2):

        async def asked() -> bool:
            told = await own_world.control("GET", "faults")
            return any(one["fired"] for one in told["faults"])

        await eventually(asked, 60, "the recovery to ask the portal")
        own_world.kill_worker()
        own_world.start_worker()
        await own_world.faults(slow)
    await own_world.heal()
    ledger = await own_world.drained()
    assert ledger["operators_wrote"] == ledger["on_phones"]


async def test_an_event_that_comes_after_all_is_not_sent_twice(own_world: World) -> None:
    tenant = await opened(own_world, CUSTOMERS[:1])
    (chat_id,) = (await chats_of(tenant, CUSTOMERS[:1])).values()
    slow = {"side": "bitrix24", "where": "webhook", "kind": "delay", "delay_s": 4.0}
    await own_world.faults(slow | {"match": {"method": "ONIMCONNECTORMESSAGEADD"}})
    await writes(own_world, tenant, chat_id, "devagar")
    await it_is_time_to_look(own_world)

    async def arrived() -> bool:
        return await on_phone(tenant, CUSTOMERS[0]) == ["devagar"]

    await eventually(arrived, 20, "the reply")

    async def posted() -> bool:
        return bool((await own_world.ledger())["counts"].get("events_delivered", 0) >= 1)

    await eventually(posted, 20, "its event")
    await own_world.drained()
    assert await on_phone(tenant, CUSTOMERS[0]) == ["devagar"]
    assert await late_ones(own_world, tenant, CUSTOMERS[0]) == [False]
    assert await notices(tenant, CUSTOMERS[0]) == []


async def test_what_is_too_old_is_told_and_not_sent(own_world: World) -> None:
    tenant = await opened(own_world, CUSTOMERS[:1])
    (chat_id,) = (await chats_of(tenant, CUSTOMERS[:1])).values()
    own_world.kill_gateway()
    await writes(own_world, tenant, chat_id, "de ontem")
    await lost(own_world, 1)
    await age_histories(own_world, seconds=25 * 3600)
    await nobody_was_there_for(own_world, 26 * 60)
    own_world.start_gateway()
    await own_world.gateway_is_up()
    await eventually(lambda: _has(tenant, CUSTOMERS[0], 1), 30, "the notice")
    (line,) = await notices(tenant, CUSTOMERS[0])
    assert line.startswith("Não enviado ao cliente: 1 resposta(s) com mais de 24 horas")
    letters = (await own_world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}"))["items"]
    assert [(one["error_code"], one["late"]) for one in letters] == [("too_late", True)]
    assert await on_phone(tenant, CUSTOMERS[0]) == []


async def test_a_portal_that_does_not_let_us_look_is_told_to_the_admin_and_left_in_peace(own_world: World) -> None:
    tenant = await opened(own_world, CUSTOMERS[:1])
    denied = {"side": "bitrix24", "where": "api", "kind": "status", "status": 403, "code": "ACCESS_DENIED"}
    await own_world.faults(denied | {"match": {"method": "batch"}})
    await it_is_time_to_look(own_world)

    async def refused() -> bool:
        return bool(await own_world.sql("SELECT refused_reason IS NOT NULL FROM recovery"))

    await eventually(refused, 20, "the refusal to be kept")
    told = await own_world.api("GET", "/metrics/json")
    alarms = [one for family in told if family["name"] == "zaptrix_alarms" for one in family["samples"]]
    assert [one["value"] for one in alarms if one["labels"]["kind"] == "recovery_refused"] == [1]
    assert await own_world.sql("SELECT next_at > now() + interval '23 hours' FROM recovery")
    await own_world.heal()
    await own_world.api("PUT", f"/api/portals/{tenant.portal_id}", {"locale": "en"})

    async def allowed() -> bool:
        return bool(await own_world.sql("SELECT refused_reason IS NULL FROM recovery"))

    await eventually(allowed, 20, "the portal to be asked again")
