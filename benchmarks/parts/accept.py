"""Accept: gateways alone, each webhook committed with fsync before its 200."""

from __future__ import annotations

import asyncio

import msgspec

from benchmarks.cost import Meter
from benchmarks.delivery import check
from benchmarks.far_record import Arrivals
from benchmarks.figures import Measured, latencies
from benchmarks.letters import conversations, customers_write
from benchmarks.load import Volley
from benchmarks.parts.act import Act, Plan, Scene
from benchmarks.profiling import profiled
from benchmarks.stage import Stage
from benchmarks.tenants import tenants

NUMBERS = 1_000
CUSTOMERS_EACH = 20
STEADY_PER_S = 3_300
# Requests are made beforehand, for the fastest gateway that two cores could carry.
RATE_MAX = 25_000
WARM_UP = 2_000


async def play(stage: Stage, plan: Plan) -> list[Measured]:
    them = tenants(plan.scaled(NUMBERS), stage.far_url)
    scene = Scene(stage, plan, conversations(them, CUSTOMERS_EACH))
    accepted: list[int] = []
    _, numbers = await _fire(scene, "warm-up", plan.scaled(WARM_UP), None)
    accepted += numbers
    saturated, numbers = await _fire(scene, "saturation", plan.scaled(round(RATE_MAX * plan.seconds)), None)
    accepted += numbers
    rate = plan.rate(STEADY_PER_S)
    steady, numbers = await _fire(scene, f"at {rate}/s", round(rate * plan.seconds), rate)
    accepted += numbers
    delivery = check(accepted, _kept(await stage.kept(), scene), scene.line_of)
    return [saturated, msgspec.structs.replace(steady, delivery=delivery)]


async def _fire(scene: Scene, what: str, count: int, rate_per_s: float | None) -> tuple[Measured, list[int]]:
    numbers = scene.numbers(count)
    requests = customers_write(scene.talks, numbers)
    meter = Meter(scene.stage.roots)
    seconds = scene.plan.seconds * (1 if rate_per_s is None else 2)
    async with profiled(scene.plan.profile, what, scene.stage.roots, scene.plan.seconds):
        volley: Volley = await asyncio.to_thread(scene.load.fire, requests, rate_per_s=rate_per_s, seconds=seconds)
    measured = Measured(
        what=what,
        messages=len(volley.accepted),
        seconds=round(volley.ended - volley.began, 3),
        rate_per_s=round(volley.rate_per_s, 1),
        latencies_ms=latencies(volley.latencies_s),
        costs=meter.read(),
        load_us=round(volley.cost_us, 1),
        more={"refused": float(len(volley.refused))},
    )
    return measured, [numbers[place] for place in volley.accepted]


def _kept(numbers: list[int], scene: Scene) -> Arrivals:
    """What the gateway kept, as if it had arrived somewhere."""
    threads = list(map(scene.line_of, numbers))
    return Arrivals(
        numbers=numbers, times=[0.0] * len(numbers), threads=threads, names=[], calls={}, faults={}, confirmed=[]
    )


ACTS = (Act(name="accept", play=play, shape=lambda plan: plan.shape()),)
