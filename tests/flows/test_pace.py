"""Under load from four workers no platform ever refuses a call for its pace, whatever becomes of Redis."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proof.world import Tenant, World, eventually

# The portal's burst of 50 calls is used up by them: a text a chat, and a call for each chat that is new.
AT_ITS_BUCKET = [f"55118{70000000 + number}" for number in range(90)]
AT_ITS_RATE = [f"55119{60000000 + number}" for number in range(30)]
BESIDE = [f"55117{50000000 + number}" for number in range(3)]
SLOW_NUMBER = 20
TURNS = 12


@pytest.fixture
async def four_workers(tmp_path: Path) -> AsyncIterator[World]:
    world = World(folder=tmp_path)
    try:
        await world.start(workers=4)
        yield world
    finally:
        await world.stop()


async def _opened(world: World) -> tuple[list[Tenant], list[int]]:
    """Four portals; the chats of the one whose number will be driven to its rate."""
    tenants = [await world.tenant(rate_per_s=SLOW_NUMBER) for _ in range(4)]
    for tenant in tenants:
        await world.control("POST", "numbers", {"phone_number_id": tenant.number, "mps": SLOW_NUMBER})
    first, *others = tenants
    await asyncio.gather(*(first.customer_writes("bom dia", wa_id=wa_id) for wa_id in AT_ITS_RATE))
    await asyncio.gather(*(each.customer_writes("bom dia", wa_id=wa_id) for each in others for wa_id in BESIDE))
    await world.drained()
    state = await world.control("GET", f"state?portal={first.key}")
    return tenants, [chat["chat_id"] for chat in state["chats"]]


async def _load(world: World, tenants: list[Tenant], chats: list[int]) -> None:
    """One number gets more than its rate, one portal more than its bucket, two others little. Nothing asks the gateway,
    which may have no Redis."""
    first, second, *others = tenants

    async def operators() -> None:
        for turn in range(TURNS):
            for chat in chats:
                letter = {"portal": first.key, "chat_id": chat, "text": f"{turn} {chat}", "operator": "Bia"}
                await world.control("POST", "operators/write", letter)

    async def customers() -> None:
        for wa_id in AT_ITS_BUCKET:
            await second.customer_writes(f"oi de {wa_id}", wa_id=wa_id)
            await asyncio.sleep(0.05)  # spread, or ten of them would go in one call

    async def few() -> None:
        for turn in range(TURNS):
            for each in others:
                for wa_id in BESIDE:
                    await each.customer_writes(f"{turn} {wa_id}", wa_id=wa_id)

    await asyncio.gather(operators(), customers(), few())


async def _on_phones(world: World, count: int) -> None:
    async def arrived() -> bool:
        return bool((await world.ledger())["on_phones"] >= count)

    await eventually(arrived, 60, f"{count} replies on phones")


@pytest.mark.timeout(300)
async def test_a_redis_flushed_and_killed_in_mid_load_costs_no_refusal(four_workers: World) -> None:
    world = four_workers
    tenants, chats = await _opened(world)
    async with asyncio.TaskGroup() as group:
        group.create_task(_load(world, tenants, chats))
        for count in (40, 80):
            await _on_phones(world, count)
            await world.flush_redis()
        await _on_phones(world, 120)
        await asyncio.to_thread(world.servers.redis.kill)
        await asyncio.to_thread(world.servers.redis.start)
    ledger = await world.drained(200)
    assert ledger["counts"].get("limits_exceeded", 0) == 0
    assert ledger["customers_wrote"] == ledger["in_chats"]
    assert ledger["operators_wrote"] == ledger["on_phones"]
