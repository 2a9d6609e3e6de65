"""Growth: the same traffic over a small house and over a large one."""

from __future__ import annotations

import dataclasses

import asyncpg
import msgspec

from benchmarks.ballast import Ballast
from benchmarks.cost import BESIDE
from benchmarks.figures import Measured
from benchmarks.letters import conversations, customers_write, operators_write
from benchmarks.parts.act import Act, Plan, Scene
from benchmarks.parts.inbound import FEW, RATE_MAX
from benchmarks.stage import SETTLE_S_MAX, Stage, StageError, Zaptrix
from benchmarks.tenants import Tenant

SMALL = Ballast(conversations=10_000, messages_each=10)
LARGE = Ballast(conversations=1_000_000, messages_each=10)
# So many customers write during a measurement, drawn from all over the house.
TALKING = 2_000
WINDOW = 4_000
OUTBOUND_PER_S_MAX = 4_000
BURST = 20  # of the 45 that Meta lets go to one customer at once, for each of two measurements


async def play(stage: Stage, plan: Plan) -> list[Measured]:
    assert isinstance(stage, Zaptrix)
    terms = dataclasses.replace(FEW.terms, read_marks=plan.read_marks)
    them = await stage.settle_in(terms)
    await stage.quiet()
    small, large = (_scaled(ballast, plan) for ballast in (SMALL, LARGE))
    await small.load(stage.servers.postgres.url, them, already=0)
    before = await _measure(stage, plan, them, small, first=0)
    await large.load(stage.servers.postgres.url, them, already=small.conversations)
    after = await _measure(stage, plan, them, large, first=10**8)
    return [*before, *_compared(before, after)]


async def _measure(stage: Stage, plan: Plan, them: list[Tenant], ballast: Ballast, first: int) -> list[Measured]:
    stage.start_workers()
    everybody = conversations(them, ballast.conversations // len(them))
    apart = max(1, len(everybody) // plan.scaled(TALKING))
    # A step that shares no factor with the number of tenants, or one of them would do all the talking.
    scene = Scene(stage, plan, everybody[:: apart | 1], first=first)
    numbers = scene.numbers(len(scene.talks))
    _, arrivals = await scene.play("first words", numbers, customers_write(scene.talks, numbers), window=WINDOW)
    scene.meet(arrivals)
    await stage.settled(SETTLE_S_MAX)
    house = f"{ballast.conversations:,} conversations"
    numbers = scene.numbers(plan.scaled(round(RATE_MAX * plan.seconds)))
    requests = customers_write(scene.talks, numbers)
    window = plan.scaled(WINDOW)
    inbound, _ = await scene.play(f"inbound, {house}", numbers, requests, window=window, seconds=plan.seconds)
    numbers = scene.numbers(min(plan.scaled(round(OUTBOUND_PER_S_MAX * plan.seconds)), BURST * len(scene.talks)))
    requests = operators_write(scene.talks, scene.chats, numbers)
    outbound, _ = await scene.play(f"outbound, {house}", numbers, requests, window=window, seconds=plan.seconds)
    await stage.settled(SETTLE_S_MAX)
    await stage.stop_workers()
    await _nobody_new(stage, ballast)
    return [inbound, outbound]


async def _nobody_new(stage: Stage, ballast: Ballast) -> None:
    """The traffic must have found the conversations that were loaded, or it measured something else."""
    connection = await asyncpg.connect(stage.servers.postgres.url)
    try:
        count = await connection.fetchval("SELECT count(*) FROM conversation_mapping")
    finally:
        await connection.close()
    if count != ballast.conversations:
        raise StageError(f"{count} conversations where {ballast.conversations} were loaded")


def _compared(before: list[Measured], after: list[Measured]) -> list[Measured]:
    """The later ones, with how much slower they are in per cent."""
    compared = []
    for small, large in zip(before, after, strict=True):
        slower = {
            "slower %": round((1 - large.rate_per_s / small.rate_per_s) * 100, 1) if small.rate_per_s else 0.0,
            "more CPU %": round((_cpu(large) / _cpu(small) - 1) * 100, 1) if _cpu(small) else 0.0,
        }
        compared.append(msgspec.structs.replace(large, more=large.more | slower))
    return compared


def _cpu(measured: Measured) -> float:
    return sum(us for name, us in measured.cpu_us.items() if name not in BESIDE)


def _scaled(ballast: Ballast, plan: Plan) -> Ballast:
    return msgspec.structs.replace(ballast, conversations=plan.scaled(ballast.conversations))


ACTS = (Act(name="growth", play=play, shape=lambda plan: plan.shape(), peer=False),)
