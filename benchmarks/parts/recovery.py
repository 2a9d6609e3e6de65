"""Recovery: a backlog that grew while no worker ran, and how long it takes until all of it has arrived."""

from __future__ import annotations

import asyncio
import time

from benchmarks.cost import Meter
from benchmarks.delivery import check
from benchmarks.figures import Measured, longest_gap, steady_rate
from benchmarks.letters import customers_write
from benchmarks.parts.act import SILENCE_S_MAX, Act, Plan
from benchmarks.parts.inbound import FEW, MANY, Cast, opened
from benchmarks.profiling import profiled
from benchmarks.stage import Stage

BACKLOG = 100_000
PROFILE_S = 30.0


async def play(stage: Stage, plan: Plan, cast: Cast) -> list[Measured]:
    scene = await opened(stage, plan, cast)
    await stage.stop_workers()
    await stage.forget()
    numbers = scene.numbers(plan.scaled(BACKLOG))
    volley = await asyncio.to_thread(scene.load.fire, customers_write(scene.talks, numbers))
    meter, began = Meter(stage.roots), time.monotonic()
    stage.start_workers()
    meter.add({name: root for name, root in stage.roots.items() if name.startswith("worker")})
    async with profiled(plan.profile, "recovery", stage.roots, PROFILE_S):
        await stage.arrived(len(volley.accepted), SILENCE_S_MAX)
    arrivals = await stage.arrivals()
    costs = meter.read()
    took = max(arrivals.times, default=began) - began
    measured = Measured(
        what=f"a backlog of {len(numbers):,}",
        messages=len(volley.accepted),
        seconds=round(took, 3),
        rate_per_s=round(len(arrivals.numbers) / took, 1),
        costs=costs,
        load_us=round(volley.cost_us, 1),
        delivery=check([numbers[place] for place in volley.accepted], arrivals, scene.line_of),
        more={
            "accepted/s": round(volley.rate_per_s, 1),
            "first arrival s": round(min(arrivals.times, default=began) - began, 3),
            "steady rate/s": round(steady_rate(arrivals.times), 1),
            "longest gap s": round(longest_gap(arrivals.times), 3),
        },
    )
    return [measured]


ACTS = (
    Act(name="recovery, 8 portals", play=lambda s, p: play(s, p, FEW), shape=lambda plan: plan.shape()),
    Act(name="recovery, 1,000 portals", play=lambda s, p: play(s, p, MANY), shape=lambda plan: plan.shape()),
)
