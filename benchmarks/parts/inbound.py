"""Inbound: from Meta's webhook until the text is in Bitrix24."""

from __future__ import annotations

import dataclasses

import msgspec

from benchmarks.figures import Measured
from benchmarks.letters import conversations, customers_write
from benchmarks.parts.act import Act, Plan, Scene
from benchmarks.stage import SETTLE_S_MAX, Stage
from benchmarks.tenants import Terms

STEADY_PER_S = 500
RATE_MAX = 8_000


class Cast(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes part, and how many messages may be under way."""

    terms: Terms
    customers_each: int
    window: int


# A portal of its own administrator's, without a pace to speak of: what the gateway can do.
FEW = Cast(terms=Terms(portals=8, portal_rate_per_s=10_000, number_rate_per_s=1_000), customers_each=100, window=4_000)
# Portals of the cloud, each with its two calls a second: what the gateway can do for a thousand tenants.
MANY = Cast(terms=Terms(portals=1_000), customers_each=5, window=10_000)


async def play(stage: Stage, plan: Plan, cast: Cast) -> list[Measured]:
    scene = await opened(stage, plan, cast)
    numbers = scene.numbers(plan.scaled(round(RATE_MAX * plan.seconds)))
    sustained, _ = await scene.play(
        f"sustained, {len(scene.talks) // cast.customers_each} portals",
        numbers,
        customers_write(scene.talks, numbers),
        seconds=plan.seconds,
        window=plan.scaled(cast.window),
    )
    rate = plan.scaled(STEADY_PER_S)
    numbers = scene.numbers(round(rate * plan.seconds))
    steady, _ = await scene.play(f"at {rate}/s", numbers, customers_write(scene.talks, numbers), rate_per_s=rate)
    return [sustained, steady]


async def opened(stage: Stage, plan: Plan, cast: Cast) -> Scene:
    """Tenants, workers, and a first message of each customer: conversations are not new in what is measured."""
    portals = max(2, plan.scaled(cast.terms.portals))
    terms = dataclasses.replace(cast.terms, portals=portals, read_marks=plan.read_marks)
    them = await stage.settle_in(terms)
    stage.start_workers()
    scene = Scene(stage, plan, conversations(them, cast.customers_each))
    numbers = scene.numbers(len(scene.talks))
    first, arrivals = await scene.play(
        "first words", numbers, customers_write(scene.talks, numbers), window=cast.window
    )
    assert first.delivery is not None
    if not first.delivery.is_good:
        raise AssertionError(f"the first words did not arrive: {first.delivery}")
    scene.meet(arrivals)
    # A gateway that has just started was away before, and looks at its portals' histories: that is no steady state.
    await stage.settled(SETTLE_S_MAX)
    return scene


ACTS = (
    Act(name="inbound, 8 portals", play=lambda s, p: play(s, p, FEW), shape=lambda plan: plan.shape()),
    Act(name="inbound, 1,000 portals", play=lambda s, p: play(s, p, MANY), shape=lambda plan: plan.shape()),
)
