"""What Redis and the bells tell of themselves, and how a client of ours lives through Redis's death."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from tests.broker.conftest import StartWorkers, eventually
from zaptrix.broker.connection.connection import CONNECTIONS_MAX, FairPool
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.stats import RedisHealth, bell_counts, look_at_redis
from zaptrix.cli.local.redis_server import EmbeddedRedis
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.core.installation.faults import FaultKind
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


async def test_a_healthy_redis_is_one_that_takes_what_the_queues_write(redis: Redis) -> None:
    health = await look_at_redis(redis, Bells(redis))
    assert health.fault is None
    assert health.ping_ms is not None
    assert 0 < health.ping_ms < 10_000


async def test_an_absent_redis_is_told_and_not_waited_for(absent: Redis) -> None:
    async with asyncio.timeout(10):
        health = await look_at_redis(absent, Bells(absent))
    assert health.fault is not None
    assert health.fault.kind is FaultKind.REDIS_AWAY


async def test_a_redis_that_takes_no_writes_is_not_healthy(own_redis: EmbeddedRedis, own_client: Redis) -> None:
    await own_client.config_set("maxmemory", "1")
    health = await look_at_redis(own_client, Bells(own_client))
    assert health.fault is not None
    assert health.fault.kind is FaultKind.REDIS_FULL
    await own_client.config_set("maxmemory", "0")
    await own_client.config_set("min-replicas-to-write", "1")
    health = await look_at_redis(own_client, Bells(own_client))
    assert health.fault is not None
    assert (health.fault.kind, health.fault.may_pass) == (FaultKind.REDIS_FULL, True)
    await own_client.config_set("min-replicas-to-write", "0")
    await own_client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    health = await look_at_redis(own_client, Bells(own_client))
    assert health.fault is not None
    assert health.fault.kind is FaultKind.REDIS_REPLICA


@pytest.mark.parametrize("pause", [False, True], ids=["killed", "killed and away for a while"])
async def test_a_client_works_again_as_soon_as_redis_does(
    own_redis: EmbeddedRedis, own_client: Redis, *, pause: bool
) -> None:
    """Every connection of the pool is dead, and each is found so only when it is used."""
    await asyncio.gather(*(look_at_redis(own_client, Bells(own_client)) for _ in range(5)))
    own_redis.kill()
    if pause:
        assert (await look_at_redis(own_client, Bells(own_client))).fault is not None
    own_redis.start()
    assert all([(await look_at_redis(own_client, Bells(own_client))).fault is None for _ in range(10)])


async def test_busy_callers_do_not_keep_others_from_redis(redis: Redis) -> None:
    """More callers than connections, none of which ever rests: whoever asks has its turn."""
    busy = [asyncio.ensure_future(call_for_ever(redis)) for _ in range(2 * CONNECTIONS_MAX)]
    for _ in range(20):
        assert (await look_at_redis(redis, Bells(redis))).fault is None
    for each in busy:
        each.cancel()
    await asyncio.wait(busy)
    assert (await look_at_redis(redis, Bells(redis))).fault is None
    pool = redis.connection_pool
    assert isinstance(pool, FairPool)
    assert pool._turns._value == CONNECTIONS_MAX  # every turn was given back, those of the cancelled too


async def call_for_ever(redis: Redis) -> None:
    while True:
        await redis.get("nothing")


@pytest.mark.parametrize("worked", [None, frozenset({Queue.META})])
def test_nobody_answers_when_no_worker_gives_a_heartbeat(worked: frozenset[Queue] | None) -> None:
    """One that stands still stays connected to Redis."""
    health = RedisHealth(worked=worked)
    assert health.answered(0) == frozenset()
    assert health.answered(1) == health.answered(None) == worked
