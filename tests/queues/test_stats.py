"""What Redis and the bells tell of themselves, and how a client of ours lives through Redis's death."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from tests.queues.conftest import StartWorkers, eventually
from zaptrix.cli.redis_server import EmbeddedRedis
from zaptrix.core.lanes import Lane, Queue
from zaptrix.queues.bells import Bells
from zaptrix.queues.connection import CONNECTIONS_MAX, FairPool
from zaptrix.queues.stats import bell_counts, redis_health
from zaptrix.telemetry.metrics import Waiting


async def test_bells_are_counted_by_queue_and_state(redis_url: str, bells: Bells, start_workers: StartWorkers) -> None:
    gate = asyncio.Event()

    async def drain(lane: Lane) -> None:
        if lane.name == "bad":
            raise KeyError
        if lane.name == "slow":
            await gate.wait()

    await start_workers(redis_url, drain, bells)
    await bells.ring([Lane(Queue.META, name) for name in ("bad", "slow", "good")])
    await bells.later(Lane(Queue.META, "good"), datetime.now(UTC) + timedelta(hours=1))
    await bells.ring([Lane(Queue.BITRIX24, "nobody")])

    async def as_expected() -> bool:
        counts = await bell_counts(bells)
        assert counts is not None
        assert set(counts) == set(Queue)
        return (
            counts[Queue.META]
            == {
                Waiting.WAITING: 0,
                Waiting.ACTIVE: 1,
                Waiting.DELAYED: 1,
                Waiting.COMPLETED: 1,
                Waiting.FAILED: 1,
            }
            and counts[Queue.BITRIX24][Waiting.WAITING] == 1
        )

    await eventually(as_expected)
    gate.set()


async def test_without_redis_nobody_knows_the_bells(absent: Redis) -> None:
    assert await bell_counts(Bells(absent)) is None


async def test_a_healthy_redis_says_what_an_admin_should_know(redis: Redis) -> None:
    health = await redis_health(redis)
    assert health["ok"] is True
    assert health["append_only"] is True
    assert health["maxmemory_policy"] == "noeviction"
    assert health["used_memory_bytes"] > 0
    assert int(health["version"].split(".")[0]) >= 6
    assert 0 < health["ping_ms"] < 10_000


async def test_an_absent_redis_is_told_and_not_waited_for(absent: Redis) -> None:
    async with asyncio.timeout(10):
        health = await redis_health(absent)
    assert health["ok"] is False
    assert "error" in health


@pytest.mark.parametrize("pause", [False, True], ids=["killed", "killed and away for a while"])
async def test_a_client_works_again_as_soon_as_redis_does(
    own_redis: EmbeddedRedis, own_client: Redis, *, pause: bool
) -> None:
    """Every connection of the pool is dead, and each is found so only when it is used."""
    await asyncio.gather(*(redis_health(own_client) for _ in range(5)))
    own_redis.kill()
    if pause:
        assert (await redis_health(own_client))["ok"] is False
    own_redis.start()
    assert all([(await redis_health(own_client))["ok"] for _ in range(10)])


async def test_busy_callers_do_not_keep_others_from_redis(redis: Redis) -> None:
    """More callers than connections, none of which ever rests: whoever asks has its turn."""
    busy = [asyncio.ensure_future(call_for_ever(redis)) for _ in range(2 * CONNECTIONS_MAX)]
    for _ in range(20):
        assert (await redis_health(redis))["ok"] is True
    for each in busy:
        each.cancel()
    await asyncio.wait(busy)
    assert (await redis_health(redis))["ok"] is True
    pool = redis.connection_pool
    assert isinstance(pool, FairPool)
    assert pool._turns._value == CONNECTIONS_MAX  # every turn was given back, those of the cancelled too


async def call_for_ever(redis: Redis) -> None:
    while True:
        await redis.get("nothing")
