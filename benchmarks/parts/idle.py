"""Idle: what a thousand tenants cost while nobody writes."""

from __future__ import annotations

import asyncio
import time

from benchmarks.calls import counting
from benchmarks.cost import Meter
from benchmarks.figures import Measured
from benchmarks.parts.act import Act, Plan
from benchmarks.parts.inbound import MANY, opened
from benchmarks.stage import Stage

SETTLE_S = 8.0  # the last sweep after the last message
STRETCHES = 3  # of the plan's seconds: sweeps and checks come every few seconds


async def play(stage: Stage, plan: Plan) -> list[Measured]:
    await opened(stage, plan, MANY)
    await asyncio.sleep(min(SETTLE_S, plan.seconds))
    servers = stage.servers
    async with counting(servers.postgres.url, servers.redis.url) as calls:
        meter, began = Meter(stage.roots), time.monotonic()
        await asyncio.sleep(plan.seconds * STRETCHES)
        costs, took = meter.read(), time.monotonic() - began
        called = await calls.read()
    more = {f"{name}/s": round(count / took, 2) for name, count in called.items()}
    more |= {f"CPU s an hour: {name}": round(cost.cpu_s / took * 3600, 1) for name, cost in costs.items()}
    return [Measured(what="at rest", messages=0, seconds=round(took, 3), rate_per_s=0.0, costs=costs, more=more)]


ACTS = (Act(name="idle, 1,000 portals", play=play, shape=lambda plan: plan.shape()),)
