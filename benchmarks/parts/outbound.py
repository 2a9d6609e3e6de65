"""Outbound: from the operator's event until the Graph call, and back with the receipts."""

from __future__ import annotations

from functools import partial

import msgspec

from benchmarks.figures import Measured
from benchmarks.letters import operators_write
from benchmarks.parts.act import Act, Plan, Scene
from benchmarks.parts.inbound import MANY, Cast, opened, quick_at_first, slowly
from benchmarks.stage import SETTLE_S_MAX, Stage
from benchmarks.tenants import Terms

STEADY_PER_S = 300
SLOW_PER_S = 500
RATE_MAX = 4_000
WINDOW = 2_000
# Meta lets 45 messages go to one customer at once, then one in six seconds.
BURST = 40

CAST = Cast(
    terms=Terms(portals=8, portal_rate_per_s=10_000, number_rate_per_s=1_000), customers_each=250, window=WINDOW
)


async def play(stage: Stage, plan: Plan) -> list[Measured]:
    # As many conversations as the bursts of pairs ask for, the steady stretch's included.
    wanted = round((plan.scaled(RATE_MAX) + plan.rate(STEADY_PER_S)) * plan.seconds / BURST / plan.scaled(8)) + 2
    cast = msgspec.structs.replace(CAST, customers_each=wanted)
    scene = await opened(stage, plan, cast)
    numbers = scene.numbers(plan.scaled(round(RATE_MAX * plan.seconds)))
    sustained = await _play(scene, "sustained", numbers, window=plan.scaled(WINDOW), seconds=plan.seconds)
    return [sustained, await _at_rate(scene, STEADY_PER_S)]


async def play_slow(stage: Stage, plan: Plan) -> list[Measured]:
    """As `inbound` does, over a thousand portals."""
    scene = await opened(stage, plan, MANY)
    return await slowly(stage, plan, partial(_at_rate, scene, SLOW_PER_S))


async def _at_rate(scene: Scene, per_s: int, where: str = "") -> Measured:
    rate = scene.plan.rate(per_s)
    return await _play(scene, f"at {rate}/s{where}", scene.numbers(round(rate * scene.plan.seconds)), rate_per_s=rate)


async def _play(
    scene: Scene,
    what: str,
    numbers: range,
    *,
    rate_per_s: float | None = None,
    seconds: float = 600.0,
    window: int = 0,
) -> Measured:
    requests = operators_write(scene.talks, scene.chats, numbers)
    measured, _ = await scene.play(what, numbers, requests, rate_per_s=rate_per_s, seconds=seconds, window=window)
    settled = await scene.stage.settled(SETTLE_S_MAX)
    return msgspec.structs.replace(measured, more=measured.more | settled)


RECEIPTS = Act(name="outbound, with receipts", play=play, shape=lambda plan: plan.shape(receipts=True))
PLAIN = Act(name="outbound, without receipts", play=play, shape=lambda plan: plan.shape())
SLOW = Act(name="outbound, slow platforms", play=play_slow, shape=quick_at_first, peer=False)
ACTS = (RECEIPTS, PLAIN, SLOW)
