"""Idle: what a thousand tenants cost while nobody writes.

Two things happen then: the chores that look every few seconds, and now and then a look at each portal's history for
replies that no event told of. A restart makes all portals due at once, so the two are measured one after the other, and
an hour is put together from both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import msgspec

from benchmarks.calls import counting
from benchmarks.cost import BESIDE, Cost, Meter
from benchmarks.figures import Measured
from benchmarks.parts.act import Act, Plan
from benchmarks.parts.inbound import MANY, opened
from benchmarks.stage import SETTLE_S_MAX, Stage, StageError, Zaptrix
from zaptrix.settings import Settings

STRETCHES = 3  # of the plan's seconds: sweeps and checks come every few seconds
SECONDS_MIN = 10.0
ROUNDS_S_MAX = 300.0
LOOK_S = 0.5
HOUR_S = 3600.0

_UNSEEN = """
SELECT count(*) FROM portal_config p LEFT JOIN recovery r ON r.portal_id = p.id
WHERE r.portal_id IS NULL OR r.next_at <= now()
"""


async def play(stage: Stage, plan: Plan) -> list[Measured]:
    assert isinstance(stage, Zaptrix)
    await opened(stage, plan, MANY, looks=True)
    await stage.settled(SETTLE_S_MAX)
    looks = await _cost_of(stage, "a look at each portal's history", _all_seen(stage))
    rest = await _cost_of(stage, "at rest", asyncio.sleep(plan.least(SECONDS_MIN) * STRETCHES))
    rest_cpu_s, looks_cpu_s = _cpu_s(rest) * HOUR_S / rest.seconds, _cpu_s(looks) * HOUR_S / _round_s()
    hour = {"CPU s an hour": round(rest_cpu_s + looks_cpu_s, 1), "% of a core": _percent(rest_cpu_s + looks_cpu_s)}
    return [looks, msgspec.structs.replace(rest, more=rest.more | hour)]


async def _cost_of(stage: Zaptrix, what: str, stretch: Awaitable[None]) -> Measured:
    async with counting(stage.servers.postgres.url, stage.servers.redis.url) as calls:
        meter, began = Meter(stage.roots), time.monotonic()
        await stretch
        costs, took = meter.read(), time.monotonic() - began
        called = await calls.read()
    more = {f"{name}/s": round(count / took, 2) for name, count in called.items()}
    more |= {f"CPU s: {name}": round(cost.cpu_s, 2) for name, cost in costs.items()}
    return Measured(what=what, messages=0, seconds=round(took, 3), rate_per_s=0.0, costs=costs, more=more)


async def _all_seen(stage: Zaptrix) -> None:
    """Until every portal had its look."""
    connection = await stage.database()
    try:
        async with asyncio.timeout(ROUNDS_S_MAX):
            while await connection.fetchval(_UNSEEN):
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise StageError(f"not every portal's history was looked at within {ROUNDS_S_MAX:g} s") from None
    finally:
        await connection.close()


def _cpu_s(measured: Measured) -> float:
    costs: dict[str, Cost] = measured.costs
    return sum(cost.cpu_s for name, cost in costs.items() if name not in BESIDE)


def _percent(cpu_s_an_hour: float) -> float:
    return round(cpu_s_an_hour / HOUR_S * 100, 2)


def _round_s() -> float:
    """How often a portal is looked at when nothing else is set."""
    return float(next(f.default for f in msgspec.structs.fields(Settings) if f.name == "recovery_round_s"))


ACTS = (Act(name="idle, 1,000 portals", play=play, shape=lambda plan: plan.shape()),)
