"""A worker that stands still between its claim and its call: another has done its work, and once is enough."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from proof.tap import Tap
from proof.world import Tenant, World, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUSTOMERS = [f"55119{61000000 + number}" for number in range(6)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tapped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, Tap]]:
    """A world whose first worker reaches PostgreSQL through a tap."""
    folder: Path = tmp_path_factory.mktemp("world")
    world = World(folder=folder)
    try:
        await world.start(workers=0)
        tap = Tap(world.servers.postgres.url, folder / "tap")
        await tap.start()
        world.start_worker(tap=tap)
        yield world, tap
    finally:
        await world.stop()
        await tap.stop()


@pytest.mark.parametrize("side", ["customers", "operators"])
async def test_what_another_has_sent_meanwhile_is_not_sent_again(tapped: tuple[World, Tap], side: str) -> None:
    world, tap = tapped
    while len(world.workers) > 1:
        world.kill_worker(1)
    tenant = await world.tenant()
    await asyncio.gather(*(tenant.opened(wa_id) for wa_id in CUSTOMERS))
    caught = asyncio.Event()
    frozen = world.workers[0].pid

    async def freeze() -> None:
        os.kill(frozen, signal.SIGSTOP)
        caught.set()

    tap.on_claim(freeze)
    try:
        await _write(tenant, side)
        await asyncio.wait_for(caught.wait(), 120)
        world.start_worker()
        # Not before the claim has run out and its proof was looked for.
        await eventually(lambda: _arrived(world), 120, "the other worker's deliveries")
    finally:
        os.kill(frozen, signal.SIGCONT)
    # It comes to itself and goes on: whatever it takes for its own is told by what it does next.
    await _write(tenant, side, "afterwards")
    ledger = await world.drained()
    assert ledger["violations"] == []
    assert ledger["customers_wrote"] == ledger["in_chats"]
    assert ledger["operators_wrote"] == ledger["on_phones"]


async def _write(tenant: Tenant, side: str, word: str = "then") -> None:
    for wa_id in CUSTOMERS:
        if side == "customers":
            await tenant.customer_writes(f"{side} {word} {wa_id}", wa_id=wa_id)
        else:
            await tenant.operator_writes(f"{side} {word} {wa_id}", wa_id=wa_id)


async def _arrived(world: World) -> bool:
    return bool((await world.ledger())["drained"])
