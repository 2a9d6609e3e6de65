"""Inbound: from Meta's webhook until the text is in Bitrix24."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from benchmarks.figures import Measured
from benchmarks.letters import conversations, customers_write
from benchmarks.parts.act import Act, Plan, Scene
from benchmarks.stage import SETTLE_S_MAX, Shape, Stage
from benchmarks.tenants import Terms

STEADY_PER_S = 500
LESS_PER_S = 300  # what has to go on evenly where the machine cannot carry that
FAR_MS = (1.0, 200.0, 1_000.0)
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
    return [sustained, await at_rate(scene, STEADY_PER_S)]


async def play_slow(stage: Stage, plan: Plan) -> list[Measured]:
    """Platforms that need as long as real ones do. They are quick until everybody has said the first words."""
    scene = await opened(stage, plan, MANY)
    return await slowly(stage, plan, partial(at_rate, scene, STEADY_PER_S))


async def play_busy(stage: Stage, plan: Plan) -> list[Measured]:
    scene = await opened(stage, msgspec.structs.replace(plan, busy=True), MANY)
    return [await at_rate(scene, rate, ", one core busy") for rate in (STEADY_PER_S, LESS_PER_S)]


async def at_rate(scene: Scene, per_s: int, where: str = "") -> Measured:
    rate = scene.plan.rate(per_s)
    numbers = scene.numbers(max(1, round(rate * scene.plan.seconds)))
    requests = customers_write(scene.talks, numbers)
    measured, _ = await scene.play(f"at {rate}/s{where}", numbers, requests, rate_per_s=rate)
    return measured


def far_ms(plan: Plan) -> tuple[float, ...]:
    """How long the platforms take, stretch by stretch: what was asked for, or next door, on a good and a bad day."""
    return FAR_MS if plan.far_latency_ms is None else (plan.far_latency_ms,)


async def slowly(stage: Stage, plan: Plan, play: Callable[[str], Awaitable[Measured]]) -> list[Measured]:
    """A stretch for each time that the platforms take; `play` is told where, as the report says it."""
    told = []
    for ms in far_ms(plan):
        await stage.far_takes(ms)
        told.append(await play(f", far side {ms:,g} ms"))
    return told


def quick_at_first(plan: Plan) -> Shape:
    return msgspec.structs.replace(plan.shape(), far_latency_ms=0.0)


async def opened(stage: Stage, plan: Plan, cast: Cast, *, looks: bool = False) -> Scene:
    """Tenants, workers, and a first message of each customer: conversations are not new in what is measured.

    The looks at the portals' histories that follow a start are put off, unless a part is about them.
    """
    portals = max(2, plan.scaled(cast.terms.portals))
    terms = dataclasses.replace(cast.terms, portals=portals, read_marks=plan.read_marks)
    them = await stage.settle_in(terms)
    if not looks:
        await stage.quiet()
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
    await stage.settled(SETTLE_S_MAX)
    scene.opened = True
    return scene


EIGHT = Act(name="inbound, 8 portals", play=lambda s, p: play(s, p, FEW), shape=lambda plan: plan.shape(), marks=True)
THOUSAND = Act(
    name="inbound, 1,000 portals", play=lambda s, p: play(s, p, MANY), shape=lambda plan: plan.shape(), marks=True
)
# The yardstick has ten calls under way at once: with platforms that take 200 ms that is 50/s, whatever its speed.
SLOW = Act(name="inbound, slow platforms", play=play_slow, shape=quick_at_first, peer=False)
BUSY = Act(name="inbound, busy machine", play=play_busy, shape=lambda plan: plan.shape(), marks=True)
ACTS = (EIGHT, THOUSAND, SLOW, BUSY)
