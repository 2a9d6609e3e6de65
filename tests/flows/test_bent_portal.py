"""A portal that answers whatever it likes, beside one that is well. In a world of its own: it never drains."""

import asyncio
import itertools

import pytest

from proof.world import Tenant, World, eventually
from tests.bent_answers import ANSWERS, Bending

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_portal_that_answers_whatever_it_likes_breaks_nothing_and_nobody_waits_for_it(world: World) -> None:
    """Each answer of the corpus, in turn, to each call: an error of that portal's own, and no breakdown."""
    bent, well = await world.tenant(), await world.tenant()
    await asyncio.gather(bent.opened(), well.opened())
    before = await breakdowns(world)
    answers = itertools.cycle(ANSWERS.values())
    async with Bending().running() as host:
        host.answer = lambda _method, _path: next(answers)
        await moved(world, bent, f"{host.url}/rest/")
        for turn in itertools.count(1):
            if host.asked >= len(ANSWERS):
                break
            # What is refused is buried: there has to be more of it.
            people = [f"554199{turn:03d}{n:04d}" for n in range(16)]
            await asyncio.gather(*(bent.customer_writes("oi", wa_id=wa_id) for wa_id in people))
            await well.customer_writes(f"passa {turn}")

            async def passed(count: int = turn) -> bool:
                return len(await well.said_in_chat("customer")) == count + 1

            await eventually(passed, 30, "the other portal's message, while one answers whatever it likes")
            # What one answer paused, the next one is to be given to, too; and nobody waits out a back-off.
            await world.sql(
                "UPDATE portal_config SET paused_at = NULL, paused_reason = NULL WHERE paused_at IS NOT NULL"
            )
            await world.sql(
                "UPDATE message SET due_at = now() WHERE portal_id = $1 AND state IN ('pending', 'verifying')",
                bent.portal_id,
            )
    assert await breakdowns(world) == before


async def moved(world: World, tenant: Tenant, endpoint: str) -> None:
    """The portal answers there from now on, as if it had said so itself."""
    await world.sql(
        "UPDATE portal_config SET client_endpoint = $2, updated_at = now() - interval '1 minute' WHERE id = $1",
        tenant.portal_id,
        endpoint,
    )


async def breakdowns(world: World) -> float:
    """Whatever met an error that nobody expected."""
    families = await world.api("GET", "/metrics/json")
    return sum(
        float(sample["value"])
        for family in families
        for sample in family["samples"]
        if sample["name"] == "zaptrix_alarms_total" and sample["labels"]["kind"] in {"drain_failed", "broke_down"}
    )
