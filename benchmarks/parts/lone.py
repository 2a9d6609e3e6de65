"""Lone messages: twenty a second over a thousand portals, so that none shares a trip with another.

What the installation does at rest is measured just before in the same run, and told beside what is left without it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from benchmarks.calls import COMMANDS, TOLD_AFTER_S, TRANSACTIONS, counting
from benchmarks.cost import Cost, Meter
from benchmarks.figures import Measured
from benchmarks.letters import customers_write, operators_write
from benchmarks.load import Request
from benchmarks.parts.act import Act, Plan, Scene
from benchmarks.parts.inbound import Cast, opened
from benchmarks.stage import Stage
from benchmarks.tenants import Terms

RATE_PER_S = 20
PORTALS = 1_000
WINDOW = 2_000
SECONDS_MIN = 8.0  # fewer messages than come in these tell little
WITHOUT_REST = ", less those at rest"

Writing = Callable[[Scene, range], Sequence[Request]]


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch of time took."""

    seconds: float
    costs: dict[str, Cost]
    commands: int
    transactions: int


async def play(stage: Stage, plan: Plan, write: Writing) -> list[Measured]:
    seconds = plan.least(SECONDS_MIN)
    portals, count = plan.scaled(PORTALS), max(1, round(RATE_PER_S * seconds))
    # No conversation has its turn twice in the stretch.
    cast = Cast(terms=Terms(portals=PORTALS), customers_each=math.ceil(count / portals), window=WINDOW)
    scene = await opened(stage, plan, cast)
    # A look at it does not wait until PostgreSQL has told all of its counts.
    pause_s = min(TOLD_AFTER_S, seconds)
    await asyncio.sleep(pause_s)
    rest = await _spent(stage, asyncio.sleep(seconds), 0.0)
    numbers = scene.numbers(count)
    played: list[Measured] = []

    async def stretch() -> None:
        measured, _ = await scene.play(f"at {RATE_PER_S}/s", numbers, write(scene, numbers), rate_per_s=RATE_PER_S)
        played.append(measured)

    whole = await _spent(stage, stretch(), pause_s)
    return [_at_rest(rest), _lone(played[0], whole, rest, pause_s)]


async def _spent(stage: Stage, stretch: Awaitable[None], pause_s: float) -> Spent:
    """PostgreSQL's transactions are those of the stretch and of a pause after it, in which it tells them."""
    async with counting(stage.servers.postgres.url, stage.servers.redis.url) as calls:
        meter, began = Meter(stage.roots), time.monotonic()
        await stretch
        costs, took, commands = meter.read(), time.monotonic() - began, (await calls.read())[COMMANDS]
        await asyncio.sleep(pause_s)
        return Spent(seconds=took, costs=costs, commands=commands, transactions=(await calls.read())[TRANSACTIONS])


def _at_rest(rest: Spent) -> Measured:
    per_s = {COMMANDS: rest.commands, TRANSACTIONS: rest.transactions}
    more = {f"{name}/s": round(count / rest.seconds, 2) for name, count in per_s.items()}
    more |= {f"CPU us/s: {name}": round(cost.cpu_s / rest.seconds * 1e6) for name, cost in rest.costs.items()}
    return Measured(
        what="at rest", messages=0, seconds=round(rest.seconds, 3), rate_per_s=0.0, costs=rest.costs, more=more
    )


def _lone(played: Measured, whole: Spent, rest: Spent, pause_s: float) -> Measured:
    count, share = max(played.messages, 1), whole.seconds / rest.seconds
    paused_share = (whole.seconds + pause_s) / rest.seconds
    more = {
        f"{COMMANDS} a message": whole.commands / count,
        f"{COMMANDS} a message{WITHOUT_REST}": (whole.commands - rest.commands * share) / count,
        f"{TRANSACTIONS} a message{WITHOUT_REST}": (whole.transactions - rest.transactions * paused_share) / count,
    }
    for name, cost in whole.costs.items():
        more[f"CPU us a message: {name}{WITHOUT_REST}"] = (cost.cpu_s - rest.costs[name].cpu_s * share) / count * 1e6
    told = {name: round(value, 2) for name, value in more.items()}
    return msgspec.structs.replace(played, costs=whole.costs, more=played.more | told)


def _customers(scene: Scene, numbers: range) -> Sequence[Request]:
    return customers_write(scene.talks, numbers)


def _operators(scene: Scene, numbers: range) -> Sequence[Request]:
    return operators_write(scene.talks, scene.chats, numbers)


CHAT = Act(
    name="lone, to the chat",
    play=lambda stage, plan: play(stage, plan, _customers),
    shape=lambda plan: plan.shape(),
    marks=True,
)
PHONE = Act(
    name="lone, to WhatsApp",
    play=lambda stage, plan: play(stage, plan, _operators),
    shape=lambda plan: plan.shape(),
)
ACTS = (CHAT, PHONE)
