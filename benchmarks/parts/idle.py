"""Idle: what a thousand tenants cost while nobody writes."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import redis.asyncio

from benchmarks.cost import Meter
from benchmarks.figures import Measured
from benchmarks.parts.act import Act, Plan
from benchmarks.parts.inbound import MANY, opened
from benchmarks.stage import Stage

SETTLE_S = 8.0  # the last sweep after the last message
STRETCHES = 3  # of the plan's seconds: sweeps and checks come every few seconds

_TRANSACTIONS = """
SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""


async def play(stage: Stage, plan: Plan) -> list[Measured]:
    await opened(stage, plan, MANY)
    await stage.settled(60.0)
    await asyncio.sleep(min(SETTLE_S, plan.seconds))
    connection = await asyncpg.connect(stage.servers.postgres.url)
    try:
        async with redis.asyncio.from_url(stage.servers.redis.url) as client:
            return [await _rest(stage, connection, client, plan.seconds * STRETCHES)]
    finally:
        await connection.close()


async def _rest(
    stage: Stage, connection: asyncpg.Connection[asyncpg.Record], client: redis.asyncio.Redis, seconds: float
) -> Measured:
    commands, transactions = await _commands(client), await _transactions(connection)
    meter, began = Meter(stage.roots), time.monotonic()
    await asyncio.sleep(seconds)
    costs, took = meter.read(), time.monotonic() - began
    # Our own questions are among them: one command and, of the server, one transaction.
    commands, transactions = await _commands(client) - commands - 1, await _transactions(connection) - transactions - 1
    hourly = {f"CPU s an hour: {name}": round(cost.cpu_s / took * 3600, 1) for name, cost in costs.items()}
    return Measured(
        what="at rest",
        messages=0,
        seconds=round(took, 3),
        rate_per_s=0.0,
        costs=costs,
        more={
            "Redis commands/s": round(commands / took, 2),
            "PostgreSQL transactions/s": round(transactions / took, 2),
            **hourly,
        },
    )


async def _commands(client: redis.asyncio.Redis) -> int:
    """Calls from outside and those that scripts made."""
    told = await client.info("stats")
    return int(told["total_commands_processed"])


async def _transactions(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    return int(await connection.fetchval(_TRANSACTIONS))


ACTS = (Act(name="idle, 1,000 portals", play=play, shape=lambda plan: plan.shape()),)
