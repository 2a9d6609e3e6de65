"""Workers through the worst: Redis killed, flushed or absent, a worker killed, a stop with drains under way."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.broker.conftest import StartWorkers, eventually
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.queues.workers import STOP_GRACE_S, Drain, LaneWorkers
from zaptrix.broker.stats import bell_counts
from zaptrix.cli.local.redis_server import EmbeddedRedis
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.telemetry.metrics import Waiting

ROOT = Path(__file__).resolve().parents[3]
A, B = Lane(Queue.META, "a"), Lane(Queue.META, "b")


class Gated:
    """A drain that waits for its gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: Counter[str] = Counter()
        self.drained: Counter[str] = Counter()
        self.cut_off = 0

    async def __call__(self, lane: Lane) -> None:
        self.begun[lane.name] += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        self.drained[lane.name] += 1


async def ring_until(bells: Bells, lane: Lane, drain: Gated, count: int) -> None:
    """As the sweep does: ring again until the lane was drained `count` times."""

    async def rung() -> bool:
        await bells.ring([lane])
        return drain.drained[lane.name] >= count

    await eventually(rung, within_s=30)


@pytest.fixture
def drain() -> Gated:
    return Gated()


async def test_a_restart_of_redis_is_survived(
    own_redis: EmbeddedRedis, own_client: Redis, drain: Gated, start_workers: StartWorkers
) -> None:
    bells = Bells(own_client)
    drain.gate.set()
    await start_workers(own_redis.url, drain, bells)
    await ring_until(bells, A, drain, 1)
    own_redis.kill()
    await bells.ring([A])  # nobody hears it
    own_redis.start()
    began = time.monotonic()
    await ring_until(bells, B, drain, 1)
    assert time.monotonic() - began < 20
    await ring_until(bells, A, drain, drain.drained["a"] + 1)


async def test_a_bell_is_asked_for_a_few_times_however_many_places_are_free(
    redis: Redis, bells: Bells, redis_url: str, drain: Gated, start_workers: StartWorkers
) -> None:
    drain.gate.set()
    await start_workers(redis_url, drain, bells)
    await ring_until(bells, A, drain, 1)  # BullMQ has begun
    before, rung = await asked(redis), 10
    for number in range(2, 2 + rung):
        await ring_until(bells, A, drain, number)
    assert await asked(redis) - before <= 2 * drain.drained["a"] + 5  # once with it, and once more to find no other


async def asked(redis: Redis) -> int:
    """How often somebody looked for a bell."""
    return int((await redis.info("commandstats"))["cmdstat_rpoplpush"]["calls"])


async def test_a_drain_under_way_while_redis_restarts_ends_and_its_lane_rings_again(
    own_redis: EmbeddedRedis, own_client: Redis, drain: Gated, start_workers: StartWorkers
) -> None:
    bells = Bells(own_client)
    await start_workers(own_redis.url, drain, bells)
    await bells.ring([A])
    await eventually(lambda: drain.begun["a"] == 1)
    own_redis.kill()
    drain.gate.set()
    await eventually(lambda: drain.drained["a"] == 1)  # what it does in PostgreSQL is done
    own_redis.start()
    await ring_until(bells, A, drain, 2)


async def test_redis_flushed_under_a_drain_costs_nothing_but_the_bell(
    redis_url: str, redis: Redis, bells: Bells, drain: Gated, start_workers: StartWorkers
) -> None:
    await start_workers(redis_url, drain, bells)
    await bells.ring([A])
    await eventually(lambda: drain.begun["a"] == 1)
    await bells.ring([A])
    await redis.flushall()
    drain.gate.set()
    await eventually(lambda: drain.drained["a"] == 1)
    await bells.ring([A, B])
    await eventually(lambda: drain.drained["a"] == 2 and drain.drained["b"] == 1)


async def test_workers_that_start_before_redis_begin_when_it_comes(
    own_redis: EmbeddedRedis, own_client: Redis, drain: Gated, start_workers: StartWorkers
) -> None:
    own_redis.stop()
    bells = Bells(own_client)
    drain.gate.set()
    await start_workers(own_redis.url, drain, bells)
    await asyncio.sleep(0)
    own_redis.start()
    await ring_until(bells, A, drain, 1)


async def test_a_drain_that_lets_a_cancellation_out_fails_alone(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    drained: Counter[str] = Counter()
    cancelled = asyncio.Event()

    async def drain(lane: Lane) -> None:
        if lane == A:
            cancelled.set()
            raise asyncio.CancelledError
        await cancelled.wait()
        await bells.ring([lane])
        drained[lane.name] += 1

    await start_workers(redis_url, drain, bells)
    await bells.ring([B])
    await bells.ring([A])
    await eventually(lambda: drained["b"] >= 2)
    counts = await bell_counts(bells)
    assert counts is not None
    assert counts[Queue.META][Waiting.FAILED] == 1


def takes_no_more(workers: LaneWorkers) -> bool:
    worker = workers._runners[0]._worker
    return worker is not None and worker._leaving.is_set() and not worker._asking


async def test_stopping_waits_for_drains_and_takes_no_more_bells(
    redis_url: str, bells: Bells, drain: Gated, start_workers: StartWorkers
) -> None:
    workers = await start_workers(redis_url, drain, bells)
    await bells.ring([A])
    await eventually(lambda: drain.begun["a"] == 1)
    stopping = asyncio.ensure_future(workers.stop())
    await eventually(partial(takes_no_more, workers))
    await bells.ring([B])
    drain.gate.set()
    await stopping
    assert drain.drained == Counter({"a": 1})
    counts = await bell_counts(bells)
    assert counts is not None
    assert counts[Queue.META][Waiting.WAITING] == 1


async def test_stopping_cuts_off_a_drain_that_takes_too_long_and_its_lane_is_freed(
    redis_url: str, bells: Bells, drain: Gated, start_workers: StartWorkers
) -> None:
    workers = await start_workers(redis_url, drain, bells)
    await bells.ring([A])
    await eventually(lambda: drain.begun["a"] == 1)
    began = time.monotonic()
    await workers.stop(grace_s=0.2)
    assert time.monotonic() - began < STOP_GRACE_S / 2
    assert drain.cut_off == 1
    drain.gate.set()
    await start_workers(redis_url, drain, bells)
    await eventually(lambda: drain.drained["a"] == 1)


async def test_workers_that_rest_leave_the_bells_to_others_until_they_wake(
    redis_url: str, bells: Bells, start_workers: StartWorkers
) -> None:
    answered: dict[str, list[str]] = {"resting": [], "other": []}

    def drain_of(name: str) -> Drain:
        async def drain(lane: Lane) -> None:
            answered[name].append(lane.name)

        return drain

    resting = await start_workers(redis_url, drain_of("resting"), bells)
    await bells.ring([Lane(Queue.META, "first")])
    await eventually(lambda: answered["resting"] == ["first"])
    for _ in range(2):  # once more: also those who rest already
        resting.rest()
    other = await start_workers(redis_url, drain_of("other"), bells)
    # What was asked for before may still be answered.
    await bells.ring([Lane(Queue.META, f"early-{number}") for number in range(20)])
    await eventually(lambda: len(answered["other"]) + len(answered["resting"]) == 21)
    names = [f"lane-{number}" for number in range(20)]
    await bells.ring([Lane(Queue.META, name) for name in names])
    await eventually(lambda: set(answered["other"]) >= set(names))
    other.rest()
    await bells.ring([Lane(Queue.META, f"late-{number}") for number in range(20)])
    resting.wake()
    await eventually(lambda: answered["resting"][-1].startswith("late-"))


async def test_workers_that_rest_stop_at_once(redis_url: str, bells: Bells, start_workers: StartWorkers) -> None:
    async def drain(_lane: Lane) -> None:
        pass

    workers = await start_workers(redis_url, drain, bells)
    workers.rest()
    async with asyncio.timeout(10):
        await workers.stop(grace_s=60)


async def test_idle_workers_stop_at_once_even_without_redis(
    own_redis: EmbeddedRedis, own_client: Redis, drain: Gated, start_workers: StartWorkers
) -> None:
    bells = Bells(own_client)
    workers = await start_workers(own_redis.url, drain, bells, *Queue)
    drain.gate.set()
    await ring_until(bells, A, drain, 1)
    own_redis.kill()
    began = time.monotonic()
    await workers.stop()
    assert time.monotonic() - began < STOP_GRACE_S / 2


WORKER = """
import asyncio, sys
from tests.broker.conftest import settings_for
from zaptrix.core.delivery.lanes import Queue
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.connection.connection import connect
from zaptrix.broker.queues.workers import LaneWorkers

async def drain(lane):
    print("begun", flush=True)
    await asyncio.Event().wait()

async def main():
    workers = LaneWorkers(settings_for(sys.argv[1]), [Queue.META], drain, Bells(connect(sys.argv[1])))
    await workers.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def start_worker_process(redis_url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, redis_url],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/src"},
    )


def says_begun(worker: subprocess.Popen[bytes]) -> bool:
    """False when it ended without a word of it; log lines may come before."""
    assert worker.stdout is not None
    return b"begun\n" in iter(worker.stdout.readline, b"")


async def test_the_lane_of_a_killed_worker_is_freed(
    redis_url: str, bells: Bells, drain: Gated, start_workers: StartWorkers
) -> None:
    for _ in range(3):  # BullMQ's own default gives a job up after its second stall
        with start_worker_process(redis_url) as doomed:
            try:
                await bells.ring([A])
                assert await asyncio.to_thread(says_begun, doomed)
            finally:
                doomed.send_signal(signal.SIGKILL)
    drain.gate.set()
    await start_workers(redis_url, drain, bells)
    # Once for the bell that died with its worker, once for those that were rung meanwhile.
    await eventually(lambda: drain.drained["a"] == 2)
    await bells.ring([A])
    await eventually(lambda: drain.drained["a"] == 3)


async def test_redis_killed_and_flushed_at_random_leaves_no_lane_dead(
    own_redis: EmbeddedRedis, own_client: Redis, start_workers: StartWorkers
) -> None:
    bells = Bells(own_client)
    drain = Gated()
    drain.gate.set()
    await start_workers(own_redis.url, drain, bells, *Queue)
    lanes = [Lane(queue, f"{queue}{number}") for queue in Queue for number in range(5)]

    async def ring() -> None:
        while True:
            bells.ring_soon(lanes)
            await asyncio.sleep(0.002)

    ringing = asyncio.ensure_future(ring())
    for _ in range(2):
        own_redis.kill()
        own_redis.start()
        await own_client.flushall()
    ringing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ringing
    drain.drained.clear()

    async def all_drained() -> bool:
        await bells.ring(lane for lane in lanes if not drain.drained[lane.name])
        return len(drain.drained) == len(lanes)

    await eventually(all_drained, within_s=30)


async def test_a_stop_leaves_no_lane_locked(redis_url: str, bells: Bells, start_workers: StartWorkers) -> None:
    """Bells keep coming while workers come and go: none of them is fetched and then left to its lock."""
    drained: Counter[str] = Counter()

    async def drain(lane: Lane) -> None:
        await asyncio.sleep(0.001)
        drained[lane.name] += 1

    ringing = asyncio.ensure_future(keep_ringing(bells, [Lane(Queue.META, str(number)) for number in range(30)]))
    for _ in range(15):
        workers = await start_workers(redis_url, drain, bells)
        await eventually(partial(more_than, drained, drained.total() + 5))
        await workers.stop()
        counts = await bell_counts(bells)
        assert counts is not None
        assert counts[Queue.META][Waiting.ACTIVE] == 0
    ringing.cancel()
    await asyncio.wait({ringing})


def more_than(drained: Counter[str], number: int) -> bool:
    return drained.total() > number


async def keep_ringing(bells: Bells, lanes: list[Lane]) -> None:
    while True:
        await bells.ring(lanes)
        await asyncio.sleep(0.003)
