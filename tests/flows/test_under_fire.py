"""Kills, floods and hangs: by the simulators' own ledger nothing is lost, doubled or out of order."""

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from proof.skewed import step
from proof.world import Tenant, World, eventually

# What three retries wait at the least: 0.2 s (the worlds' RETRY_BASE_S), then twice as long each time.
RETRIES_S = 0.2 + 0.4 + 0.8
CUSTOMERS = [f"55119{60000000 + number}" for number in range(6)]


async def talk(tenant: Tenant, turns: int, start: int = 0) -> None:
    """Customers and operators writing at the same time, in every conversation; `start` keeps texts unique."""
    for turn in range(start, start + turns):
        await asyncio.gather(
            *(tenant.customer_writes(f"c{turn} {wa_id}", wa_id=wa_id) for wa_id in CUSTOMERS),
            *(tenant.operator_writes(f"o{turn} {wa_id}", wa_id=wa_id) for wa_id in CUSTOMERS),
        )


async def opened(world: World) -> Tenant:
    tenant = await world.tenant()
    await asyncio.gather(*(tenant.opened(wa_id) for wa_id in CUSTOMERS))
    return tenant


async def nothing_went_wrong(world: World) -> None:
    """What was written has arrived, once, in order; the ledger knows of no violation."""
    await world.heal()
    ledger = await world.drained()
    assert ledger["customers_wrote"] == ledger["in_chats"]
    assert ledger["operators_wrote"] == ledger["on_phones"]


async def test_a_worker_killed_in_the_middle_of_a_delivery_loses_and_doubles_nothing(own_world: World) -> None:
    tenant = await opened(own_world)
    slow = {"where": "api", "kind": "delay", "delay_s": 0.5}
    await own_world.faults({"side": "meta", **slow}, {"side": "bitrix24", **slow})
    for time in range(3):
        talking = asyncio.create_task(talk(tenant, 2, start=2 * time))

        async def sending() -> bool:
            stats = await own_world.api("GET", "/queues/stats")
            return any(queue["messages"]["active"] > 0 for queue in stats.values())

        await eventually(sending, 20, "a message under way")
        own_world.kill_worker()
        own_world.start_worker()
        await talking
    await nothing_went_wrong(own_world)


async def test_redis_flushed_with_messages_under_way(own_world: World) -> None:
    tenant = await opened(own_world)
    await own_world.faults({"side": "meta", "where": "api", "kind": "delay", "delay_s": 0.1})
    for time in range(4):
        talking = asyncio.create_task(talk(tenant, 2, start=2 * time))
        await own_world.flush_redis()
        await talking
        await own_world.flush_redis()
    await nothing_went_wrong(own_world)


async def test_postgres_restarted_with_messages_under_way(own_world: World) -> None:
    tenant = await opened(own_world)
    # Meta counts both ways: what 60 customers' messages at once leave of a number's pace is for chance to say.
    await own_world.control("POST", "numbers", {"phone_number_id": tenant.number, "mps": 1000})
    for time in range(2):
        state = await own_world.control("GET", f"state?portal={tenant.key}")
        chats = [chat["chat_id"] for chat in state["chats"]]
        talking = asyncio.create_task(_talk_blindly(own_world, tenant, chats, time))
        await own_world.restart_postgres()
        await talking
    await nothing_went_wrong(own_world)


async def _talk_blindly(world: World, tenant: Tenant, chats: list[int], time: int) -> None:
    """Both sides write without asking the gateway anything: it may be unable to answer."""
    for turn in range(10):
        for wa_id in CUSTOMERS:
            await tenant.customer_writes(f"c{time}.{turn} {wa_id}", wa_id=wa_id)
        for chat in chats:
            letter = {"portal": tenant.key, "chat_id": chat, "text": f"o{time}.{turn} {chat}", "operator": "Bia"}
            await world.control("POST", "operators/write", letter)


async def test_a_call_that_meta_took_and_never_answered_is_not_sent_twice(own_world: World) -> None:
    tenant = await opened(own_world)
    await own_world.faults({"side": "meta", "where": "api", "kind": "accept_then_hang", "times": 4})
    await talk(tenant, 2)
    await nothing_went_wrong(own_world)


async def test_a_call_that_bitrix24_took_and_never_answered_is_not_sent_twice(own_world: World) -> None:
    tenant = await opened(own_world)
    await own_world.faults(
        {
            "side": "bitrix24",
            "where": "api",
            "kind": "accept_then_hang",
            "times": 4,
            "match": {"method": "imconnector.send.messages"},
        }
    )
    await talk(tenant, 2)
    await nothing_went_wrong(own_world)


async def test_the_very_first_call_of_a_conversation_hangs_and_is_not_sent_twice(own_world: World) -> None:
    tenant = await own_world.tenant()
    await own_world.faults(
        {
            "side": "bitrix24",
            "where": "api",
            "kind": "accept_then_hang",
            "times": 1,
            "match": {"method": "imconnector.send.messages"},
        }
    )
    await tenant.customer_writes("primeira", "segunda")
    await nothing_went_wrong(own_world)
    assert await tenant.said_in_chat("customer") == ["primeira", "segunda"]


async def test_connections_reset_after_the_work_was_done(own_world: World) -> None:
    tenant = await opened(own_world)
    await own_world.faults(
        {"side": "meta", "where": "api", "kind": "accept_then_reset", "times": 3},
        {
            "side": "bitrix24",
            "where": "api",
            "kind": "accept_then_reset",
            "times": 3,
            "match": {"method": "imconnector.send.messages"},
        },
    )
    await talk(tenant, 2)
    await nothing_went_wrong(own_world)


async def test_every_webhook_delivered_five_times(own_world: World) -> None:
    tenant = await opened(own_world)
    await own_world.faults({"side": "meta", "where": "webhook", "kind": "double", "copies": 5})
    await talk(tenant, 2)
    await nothing_went_wrong(own_world)


async def test_statuses_that_come_before_the_send_is_recorded(own_world: World) -> None:
    tenant = await opened(own_world)
    await own_world.faults({"side": "meta", "where": "webhook", "kind": "status_first"})
    await talk(tenant, 2)
    await nothing_went_wrong(own_world)
    conversation = await tenant.conversation(CUSTOMERS[0])

    async def delivered() -> bool:
        told = await own_world.api("GET", f"/api/conversations/{conversation['id']}/messages")
        return {one["state"] for one in told["items"] if one["direction"] == "outbound"} == {"delivered"}

    await eventually(delivered, 10, "every receipt to be routed")


async def test_platforms_that_refuse_by_rate_are_obeyed(own_world: World) -> None:
    tenant = await opened(own_world)
    await own_world.faults(
        {"side": "meta", "where": "api", "kind": "throttle", "times": 5},
        {"side": "bitrix24", "where": "api", "kind": "throttle", "times": 5},
    )
    await talk(tenant, 2)
    await nothing_went_wrong(own_world)
    told = await own_world.api("GET", f"/api/dead-letters?portal_id={tenant.portal_id}")
    assert told["items"] == []


@pytest.mark.parametrize("ahead_s", [150.0, -150.0])
async def test_a_worker_whose_clock_is_minutes_off_retries_in_its_time(tmp_path: Path, ahead_s: float) -> None:
    world = World(folder=tmp_path)
    try:
        await world.start(workers=0)
        step(tmp_path / "clock", ahead_s)
        world.start_worker(clock=tmp_path / "clock")
        tenant = await world.tenant()
        away = {"side": "bitrix24", "where": "api", "kind": "status", "status": 503, "times": 3}
        await world.faults(away | {"match": {"method": "imconnector.send.messages"}})
        began = monotonic()
        await tenant.customer_writes("primeira", "segunda")
        await world.drained(45)
        assert monotonic() - began > RETRIES_S, "back-off was none"
        await nothing_went_wrong(world)
    finally:
        await world.stop()


async def test_what_meta_took_is_not_sent_again_while_its_word_cannot_reach_us(own_world: World) -> None:
    """A seed found it: the gateway was away for longer than a proof is waited for."""
    tenant = await own_world.tenant()
    await tenant.opened(CUSTOMERS[0])
    await own_world.control("PUT", "options", {"status_sent_s": 3, "status_delivered_s": 3})
    hang = {"side": "meta", "where": "api", "kind": "accept_then_hang", "times": 1}
    await own_world.faults(hang | {"match": {"method": "messages"}})
    await tenant.operator_writes("uma vez só", wa_id=CUSTOMERS[0])

    async def taken() -> bool:
        return bool(await tenant.on_phone(wa_id=CUSTOMERS[0]))

    await eventually(taken, 20, "Meta to take it")
    own_world.kill_gateway()

    async def sought() -> bool:
        return bool(await own_world.sql("SELECT count(*) FROM attempt WHERE code = 'status_under_way'"))

    await eventually(sought, 30, "the proof to be looked for")
    own_world.start_gateway()
    await nothing_went_wrong(own_world)
    assert [one["text"] for one in await tenant.on_phone(wa_id=CUSTOMERS[0])] == ["uma vez só"]
