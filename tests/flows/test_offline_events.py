"""A portal may keep operators' messages in a queue of its own: read from there, they are sent once and in order."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_recovery import (
    CUSTOMERS,
    all_came_late,
    chats_of,
    late_ones,
    lost,
    notices,
    on_phone,
    opened,
    the_outage_ends,
    writes,
)

ADD = "ONIMCONNECTORMESSAGEADD"
NO_HISTORY = {
    "side": "bitrix24", "where": "api", "kind": "status", "status": 403, "code": "ACCESS_DENIED",
    "match": {"method": "batch"},
}  # fmt: skip


@pytest.fixture
async def queue_world(tmp_path: Path) -> AsyncIterator[World]:
    """Queues are read each half second."""
    world = World(folder=tmp_path, extra={"RECOVERY_OFFLINE_S": "0.5"})
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


async def keeps(world: World, tenant: Tenant, *, wanted: bool = True, features: tuple[str, ...] = ()) -> None:
    """An admin asks for it, and the portal's plan has `features`."""
    await world.control("POST", "portals", {"portal": tenant.key, "features": list(features)})
    await world.api("PUT", f"/api/portals/{tenant.portal_id}", {"offline_events": wanted})
    await eventually(lambda: is_bound(world, tenant, wanted=wanted), 20, "the queue to be bound as wanted")


async def is_bound(world: World, tenant: Tenant, *, wanted: bool) -> bool:
    state = await world.control("GET", f"state?portal={tenant.key}")
    portal = next(one for one in state["portals"] if one["portal"] == tenant.key)
    return wanted is any(one["offline"] and one["event"] == ADD for one in portal["bindings"])


async def in_queue(world: World, tenant: Tenant) -> int:
    state = await world.control("GET", f"state?portal={tenant.key}")
    return next(int(one["offline_rows"]) for one in state["portals"] if one["portal"] == tenant.key)


async def drop_online(world: World, *more: dict[str, Any]) -> None:
    drop = {"side": "bitrix24", "where": "webhook", "kind": "drop", "match": {"method": ADD}}
    await world.faults(NO_HISTORY, drop, *more)


@pytest.mark.parametrize("features", [(), ("rest_offline_extended",)])
async def test_replies_of_an_outage_come_out_of_the_queue_once_in_order_and_late(
    queue_world: World, features: tuple[str, ...]
) -> None:
    tenant = await opened(queue_world)
    await keeps(queue_world, tenant, features=features)
    chats = await chats_of(tenant)
    await queue_world.faults(NO_HISTORY)
    while queue_world.workers:
        queue_world.kill_worker()
    queue_world.kill_gateway()
    for turn in range(2):
        for wa_id, chat_id in chats.items():
            await writes(queue_world, tenant, chat_id, f"perdida {turn} {wa_id}")
    await lost(queue_world, 2 * len(CUSTOMERS))
    await the_outage_ends(queue_world, tenant, chats)
    queue_world.start_worker()
    await all_came_late(queue_world, tenant)
    for wa_id in CUSTOMERS:
        await eventually(lambda wa_id=wa_id: _told(tenant, wa_id), 20, "the notice")  # type: ignore[misc]
    await eventually(lambda: _is_empty(queue_world, tenant), 20, "the queue to be empty")


async def _told(tenant: Tenant, wa_id: str) -> bool:
    told = "Com atraso: 2 respostas que não tinham chegado ao gateway seguem agora para o cliente."
    return await notices(tenant, wa_id) == [told]


async def _is_empty(world: World, tenant: Tenant) -> bool:
    return await in_queue(world, tenant) == 0


async def test_what_came_by_both_ways_is_sent_once(queue_world: World) -> None:
    tenant = await opened(queue_world, CUSTOMERS[:1])
    await keeps(queue_world, tenant)
    (chat_id,) = (await chats_of(tenant, CUSTOMERS[:1])).values()
    texts = [f"resposta {number}" for number in range(5)]
    await writes(queue_world, tenant, chat_id, *texts)
    await queue_world.drained()
    await eventually(lambda: _is_empty(queue_world, tenant), 20, "the queue to be empty")
    await writes(queue_world, tenant, chat_id, "última")
    await queue_world.drained()
    assert await on_phone(tenant, CUSTOMERS[0]) == [*texts, "última"]
    assert await late_ones(queue_world, tenant, CUSTOMERS[0]) == [False] * 6
    assert await notices(tenant, CUSTOMERS[0]) == []


# The answer that hands the rows out never reaches the worker; and they are in the journal, but not cleared.
NOT_READ = {"kind": "accept_then_hang", "match": {"method": "event.offline.get"}}
NOT_CLEARED = {"kind": "status", "status": 503, "match": {"method": "event.offline.clear"}}


@pytest.mark.parametrize("broken", [NOT_READ, NOT_CLEARED])
async def test_a_worker_that_dies_before_it_cleared_leaves_the_rows_to_the_next(
    queue_world: World, broken: dict[str, Any]
) -> None:
    tenant = await opened(queue_world, CUSTOMERS[:1])
    await keeps(queue_world, tenant, features=("rest_offline_extended",))
    (chat_id,) = (await chats_of(tenant, CUSTOMERS[:1])).values()
    await drop_online(queue_world, {"side": "bitrix24", "where": "api", **broken})
    await writes(queue_world, tenant, chat_id, "guardada")
    await eventually(lambda: _is_kept(queue_world, tenant), 20, "the row to be in a reader's keeping")
    queue_world.kill_worker()
    await drop_online(queue_world)
    await queue_world.sql("UPDATE offline_queue SET next_at = now()")
    queue_world.start_worker()
    await queue_world.drained()
    assert await on_phone(tenant, CUSTOMERS[0]) == ["guardada"]
    await eventually(lambda: _is_empty(queue_world, tenant), 20, "the queue to be empty")


async def _is_kept(world: World, tenant: Tenant) -> bool:
    state = await world.control("GET", f"state?portal={tenant.key}")
    return next(int(one["offline_kept"]) for one in state["portals"] if one["portal"] == tenant.key) == 1


async def test_a_plan_that_was_cut_back_is_noticed_and_remembered(queue_world: World) -> None:
    tenant = await opened(queue_world, CUSTOMERS[:1])
    await keeps(queue_world, tenant, features=("rest_offline_extended",))
    (chat_id,) = (await chats_of(tenant, CUSTOMERS[:1])).values()
    cut = {"side": "bitrix24", "where": "api", "kind": "status", "status": 403, "code": "WRONG_LICENSE", "times": 1}
    await drop_online(queue_world, cut | {"match": {"method": "event.offline.get"}})

    async def remembered() -> bool:
        return bool(await queue_world.sql("SELECT NOT keeps FROM offline_queue"))

    await eventually(remembered, 30, "the plan to be remembered")
    await writes(queue_world, tenant, chat_id, "guardada")
    await queue_world.drained()
    assert await on_phone(tenant, CUSTOMERS[0]) == ["guardada"]
    assert await queue_world.sql("SELECT refused_reason IS NULL FROM offline_queue")


async def test_a_portal_that_refuses_its_queue_is_told_to_the_admin_and_the_channel_works(queue_world: World) -> None:
    tenant = await opened(queue_world, CUSTOMERS[:1])
    denied = {"side": "bitrix24", "where": "api", "kind": "status", "status": 403, "code": "ACCESS_DENIED"}
    await queue_world.faults(denied | {"match": {"method": "event.bind"}})
    await queue_world.api("PUT", f"/api/portals/{tenant.portal_id}", {"offline_events": True})

    async def refused() -> bool:
        return bool(await queue_world.sql("SELECT refused_reason IS NOT NULL FROM offline_queue"))

    await eventually(refused, 20, "the refusal to be kept")
    assert await queue_world.sql("SELECT next_at > now() + interval '23 hours' FROM offline_queue")
    await tenant.operator_writes("funciona", wa_id=CUSTOMERS[0])
    await queue_world.drained()
    await queue_world.heal()
    await keeps(queue_world, tenant)
    await keeps(queue_world, tenant, wanted=False)
