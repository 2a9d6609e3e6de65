"""A worker that is told to stop under load, dies or stands still: nobody waits for what it held."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from proof.world import Tenant, World, eventually
from zaptrix.core import limits

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMERS = [f"55119{62000000 + number}" for number in range(8)]
# What was cut off would be found by its lease after an hour, and a call may take a minute.
PATIENT = {"CLAIM_LEASE_S": "3600", "META_TIMEOUT_S": "60", "BITRIX_TIMEOUT_S": "60", "SLICE_S": "60"}
HANGS = [{"side": side, "where": "api", "kind": "accept_then_hang", "delay_s": 45} for side in ("meta", "bitrix24")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(folder=tmp_path_factory.mktemp("world"), extra=PATIENT)
    try:
        await world.start(workers=1)
        yield world
    finally:
        await world.stop()


@pytest.mark.parametrize("fault", ["platforms hang", "more comes all the time"])
async def test_a_worker_is_gone_in_seconds_and_what_it_held_goes_on_at_once(patient: World, fault: str) -> None:
    world = patient
    tenant = await world.tenant()
    await asyncio.gather(*(tenant.opened(wa_id) for wa_id in CUSTOMERS))
    if fault == "platforms hang":
        await world.faults(*HANGS)
    writing = asyncio.create_task(_write(tenant))
    await eventually(lambda: _sending(world), 30, "messages under way")
    stopped_s = await _stopped(world)
    await world.heal()
    world.start_worker()
    await writing
    ledger = await world.drained()
    assert ledger["customers_wrote"] == ledger["in_chats"]
    assert ledger["operators_wrote"] == ledger["on_phones"]
    # The limit is the process's own; the rest is for a machine that is busy otherwise.
    assert stopped_s < limits.STOP_S_MAX + 5
    assert "stopping cut short" not in (world.folder / "worker0.log").read_text()


async def test_what_one_held_that_was_killed_and_one_that_stands_still_goes_on_in_seconds(patient: World) -> None:
    """Their claims would last for an hour: it is their heartbeat that is missed."""
    world = patient
    tenant, other = await world.tenant(), await world.tenant()
    await asyncio.gather(*(each.opened(wa_id) for each in (tenant, other) for wa_id in CUSTOMERS))
    await world.faults(*HANGS)
    await _write(tenant, turns=2)
    await eventually(lambda: _sending(world), 30, "messages under way")
    world.kill_worker()
    world.start_worker()
    await _write(other, turns=2)
    await eventually(lambda: _is_held_by_both(world), 60, "messages under way with the second one")
    frozen = world.workers[0].pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        await world.heal()
        world.start_worker()
        await world.drained()
    finally:
        os.kill(frozen, signal.SIGCONT)
    await _write(other, turns=1)
    ledger = await world.drained()
    assert ledger["violations"] == []
    assert ledger["customers_wrote"] == ledger["in_chats"]
    assert ledger["operators_wrote"] == ledger["on_phones"]


async def _is_held_by_both(world: World) -> bool:
    """By the attempts of what is being sent: each begins with the id of its worker."""
    workers = "SELECT count(DISTINCT substring(uuid_send(attempt_id) FOR 8)) FROM message WHERE state = 'sending'"
    return int(await world.sql(workers)) == 2


async def _write(tenant: Tenant, turns: int = 6) -> None:
    for turn in range(turns):
        for wa_id in CUSTOMERS:
            await tenant.customer_writes(f"c{turn} {tenant.key} {wa_id}", wa_id=wa_id)
            await tenant.operator_writes(f"o{turn} {tenant.key} {wa_id}", wa_id=wa_id)


async def _sending(world: World) -> bool:
    stats = await world.api("GET", "/queues/stats")
    return any(queue["messages"]["active"] > 0 for queue in stats.values())


async def _stopped(world: World) -> float:
    worker, began = world.workers.pop(0), time.monotonic()
    worker.ask()
    await asyncio.to_thread(worker.wait, 60)
    seconds = time.monotonic() - began
    assert worker.exit_code() == 0, worker.last_words()
    return seconds
